"""Code that a model brings along is not run unasked, whichever way it is brought."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch
import yaml

from lightning_clf.cli import main
from tests.cli.conftest import SINGLE, says, write_rows

PAYLOAD = """
from pathlib import Path
from lightning_clf.heads import LinearHead
from lightning_clf.modules import SingleLabelClassifier
Path("ran").touch()
class Head(LinearHead):
    pass
class Module(SingleLabelClassifier):
    pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder, which the command puts on the path, and nothing imported from it stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("payload", "model"):
            del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def foreign(here, run_copy):
    """A finished run whose checkpoint, export and configuration name a class in its own folder."""
    model = here / "model"
    shutil.move(run_copy("single"), model)
    (model / "payload.py").write_text(PAYLOAD)
    sidecar = model / "best" / "lightning_clf.json"
    content = json.loads(sidecar.read_text())
    content["head"]["class_path"] = "model.payload.Head"
    sidecar.write_text(json.dumps(content))
    checkpoint = torch.load(model / "best.ckpt", weights_only=True)
    checkpoint["lightning_clf"]["artefact"]["head"]["class_path"] = "model.payload.Head"
    checkpoint["lightning_clf"]["module"]["class_path"] = "model.payload.Module"
    torch.save(checkpoint, model / "best.ckpt")
    config = yaml.safe_load((model / "config.yaml").read_text())
    config["model"]["class_path"] = "model.payload.Module"
    (model / "config.yaml").write_text(yaml.safe_dump(config))
    (here / "rows.txt").write_text("a joy\n")
    return model


@pytest.mark.parametrize("name", ["best", "best.ckpt"])
def test_predict(name, foreign, complaint, here):
    words = ["predict", "--model", foreign / name, "--input", "rows.txt"]
    says(complaint(*words), "'model.payload.Head'", "not this library's", "not run unasked", "--import model.payload")
    assert not (here / "ran").exists()


def test_a_run_of_its_own_configuration(foreign, complaint, here):
    says(
        complaint("test", "--ckpt_path", foreign / "best.ckpt"),
        "config.yaml names 'model.payload.Module'",
        "add --import model.payload, or name the file with --config",
    )
    assert not (here / "ran").exists()


def test_a_checkpoint_under_another_configuration(foreign, complaint, here):
    words = ["--data", "SequenceDataModule", f"--data.source={write_rows(here / 'data', SINGLE)}"]
    says(complaint("test", "--ckpt_path", foreign / "best.ckpt", *words), "'model.payload.Module'", "--import")
    assert not (here / "ran").exists()


def test_what_is_asked_for_is_imported(here, fit_words, capsys):
    (here / "payload.py").write_text(PAYLOAD)
    source = write_rows(here / "data", SINGLE)
    words = [f"{word}" for word in fit_words("single", source, model__head="payload.Head")]
    assert main([*words, "--model.head=payload.Head"]) == 0
    (here / "rows.txt").write_text("a joy\n")
    for name in [name for name in sys.modules if name == "payload"]:
        del sys.modules[name]
    predict = ["predict", "--model", "run/best", "--input", "rows.txt"]
    assert main(predict) == 2
    assert main(["test", "--ckpt_path", "run/best.ckpt"]) == 2
    assert "payload" not in sys.modules
    assert main(["test", "--ckpt_path", "run/best.ckpt", "--import", "payload"]) == 0
    assert main([*predict, "--import=payload"]) == 0


def test_an_import_that_fails(complaint):
    says(complaint("predict", "--import", "nowhere"), "--import nowhere", "No module named 'nowhere'", "in its folder")
    says(complaint("predict", "--import"), "--import names no module", "--import parts")
