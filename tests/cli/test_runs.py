"""Where runs write, and how configurations are found and add up."""

from __future__ import annotations

import pytest
import yaml

from lightning_clf.cli.configs import find_config, shipped_configs
from lightning_clf.cli.run_folder import run_folder
from tests.cli.conftest import SINGLE, write_rows


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "data", SINGLE)


def test_second_fit_writes_beside_the_first(command, fit_words, source, tmp_path):
    words = fit_words("single", source)
    assert command(*words).code == 0
    first = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    names = {path.name for path in first}
    assert {"best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "lightning_clf.json", "model.safetensors"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert command(*words).code == 0
    assert {path: path.read_bytes() for path in first} == first
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run", "run-2"}
    assert (tmp_path / "run-2" / "best.ckpt").is_file()


def test_name_that_is_taken_counts_up(tmp_path):
    for taken in ("run", "run-2"):
        (tmp_path / taken).mkdir()
        (tmp_path / taken / "file").touch()
    (tmp_path / "run-3").mkdir()
    assert run_folder("fit", str(tmp_path / "run"), None) == tmp_path / "run-3"


def test_fit_that_is_refused_leaves_its_name_free(command, complaint, fit_words, source, tmp_path):
    bad = write_rows(tmp_path / "bad", [*SINGLE, {"text": "a"}])
    complaint(*fit_words("single", bad))
    assert not (tmp_path / "run").exists()
    assert command(*fit_words("single", source, trainer__logger="false")).code == 0
    assert not (tmp_path / "run-2").exists()


def test_refused_fit_takes_away_nothing_it_did_not_make(complaint, fit_words, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    bad = write_rows(tmp_path / "bad", [*SINGLE, {"text": "a"}])
    complaint(*fit_words("single", bad))
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_configs_add_up_and_the_command_line_has_the_last_word(command, fit_words, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("trainer:\n  max_epochs: 5\n  log_every_n_steps: 1\nseed_everything: 7\n")
    (tmp_path / "b.yaml").write_text("trainer:\n  max_epochs: 4\ndata:\n  init_args:\n    batch_size: 2\n")
    words = [word for word in fit_words("single", source) if not word.startswith(("--data.batch", "--trainer.log"))]
    assert command("fit", "--config", "a.yaml", *words[1:5], "--config=b.yaml", *words[5:]).code == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["seed_everything"] == 7
    assert config["trainer"]["log_every_n_steps"] == 1
    assert config["data"]["init_args"]["batch_size"] == 2
    assert config["trainer"]["max_epochs"] == 1


def test_config_is_found_in_the_working_folder_before_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("ner.yaml") == shipped_configs() / "ner.yaml"
    assert find_config("trainer/cpu.yaml") == shipped_configs() / "trainer" / "cpu.yaml"
    (tmp_path / "ner.yaml").touch()
    assert find_config("ner.yaml").absolute() == tmp_path / "ner.yaml"
