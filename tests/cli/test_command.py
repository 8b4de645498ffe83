"""What the command says of itself, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from lightning_clf.cli import main
from tests.cli.conftest import says


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_names_every_command(command, words):
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    for name in ("init", "doctor", "fit", "validate", "test", "predict", "calibrate", "serve"):
        assert f"\n  {name} " in out


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("fit", "--ckpt_path"),
        ("test", "--data"),
        ("predict", "--input"),
        ("init", "--output"),
        ("doctor", "--json"),
        ("calibrate", "--conformal"),
        ("serve", "--max-batch-tokens"),
    ],
)
def test_help_of_a_command_names_its_options(command, name, option):
    code, out, _ = command(name, "--help")
    assert code == 0
    assert option in out


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom lightning_clf.cli import main\nassert main(['--help']) == 0\nassert main(['nonsense']) == 2\n"
        "assert all(main([name, '--help']) == 0 for name in ('predict', 'init', 'doctor', 'calibrate', 'serve'))\n"
        "heavy = {'torch', 'transformers', 'lightning', 'datasets', 'jsonargparse'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_unknown_command_is_answered_with_those_there_are(complaint):
    says(
        complaint("train"),
        "command 'train' is unknown",
        "use init, doctor, augment, fit, validate, test, predict, calibrate, cascade, report, export or serve",
    )


def test_version_is_that_of_the_package(command):
    assert command("--version") == (0, version("lightning-clf") + "\n", "")


def test_print_config_prints_and_does_not_fit(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("fit", "--config", "sst2.yaml", "--print_config")
    assert code == 0
    assert "class_path: lightning_clf.SST2DataModule" in out
    assert not list(tmp_path.iterdir())


def test_traceback_is_shown_when_asked_for(capsys):
    assert main(["fit", "--config", "nowhere.yaml", "--traceback"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: config 'nowhere.yaml' is neither")
