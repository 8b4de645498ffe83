"""Code that a model brings along is not run unasked, whichever way it is brought."""

from __future__ import annotations

import io
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
EVIL = "class T: pass\n"
CODE_OF_A_TOKENIZER = {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": [None, "evil.T"]}}


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


NAMED = '{"class_path": "payload.%s", "init_args": {"encoder": "x"}}'


@pytest.mark.parametrize(
    "change",
    [
        {"model": NAMED % "Module"},
        {"model": "sub.yaml"},
        {"trainer": '{"callbacks": [{"class_path": "payload.Head"}]}'},
        {"trainer": {"callbacks": '[{"class_path": "payload.Head"}]'}},
    ],
)
def test_a_run_whose_configuration_hides_what_it_names(change, here, run_copy, complaint):
    run = run_copy("single")
    (here / "payload.py").write_text(PAYLOAD)
    for folder in (here, run):
        (folder / "sub.yaml").write_text(NAMED % "Module")
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, **change}))
    says(complaint("test", "--ckpt_path", run / "best.ckpt"), "'payload.", "is not run unasked", "add --import payload")
    assert not (here / "ran").exists()


def test_the_name_of_a_checkpoint_asks_for_no_module(here, run_copy, complaint, monkeypatch):
    run = run_copy("single")
    monkeypatch.chdir(run)
    (run / "model.py").write_text(PAYLOAD.replace('"ran"', repr(str(here / "ran"))))
    (run / "best.ckpt").rename(run / "model.ckpt")
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(
        yaml.safe_dump({**config, "model": (NAMED % "Module").replace("payload", "model")})
    )
    says(complaint("test", "--ckpt_path", "model.ckpt"), "'model.Module'", "is not run unasked")
    assert not (here / "ran").exists()


def test_what_is_named_beside_a_configuration_that_is_not_is_asked_for(here, run_copy, command):
    (here / "payload.py").write_text("from lightning.pytorch import Callback\nclass Seen(Callback):\n    pass\n")
    words = ["--trainer.callbacks=payload.Seen", "--trainer.enable_progress_bar=false"]
    assert command("test", "--ckpt_path", run_copy("single") / "best.ckpt", *words).code == 0
    assert "payload" in sys.modules


def test_a_sidecar_that_names_the_command(here, run_copy, complaint):
    folder = run_copy("single") / "best"
    content = json.loads((folder / "lightning_clf.json").read_text())
    content["head"]["class_path"] = "lightning_clf.__main__.Head"
    (folder / "lightning_clf.json").write_text(json.dumps(content))
    (here / "rows.txt").write_text("a joy\n")
    words = ["predict", "--model", folder, "--input", "rows.txt"]
    says(complaint(*words), "class 'lightning_clf.__main__.Head' cannot be imported")


def test_a_checkpoint_under_another_configuration(foreign, complaint, here):
    words = ["--data", "SequenceDataModule", f"--data.source={write_rows(here / 'data', SINGLE)}"]
    says(complaint("test", "--ckpt_path", foreign / "best.ckpt", *words), "'model.payload.Module'", "--import")
    assert not (here / "ran").exists()


def as_bytes(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


@pytest.fixture
def asked(monkeypatch):
    """Whoever sits before the command says yes to all that it asks."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    return sys.stdin


@pytest.mark.parametrize(
    ("name", "said"),
    [("evil.py", "its tokenizer holds 'evil.py', which is no file of a tokenizer"),
     ("../evil.py", "its tokenizer holds '../evil.py', which is no file of a tokenizer"),
     ("evil.txt", "it brings code of its own, which is not run")],
)  # fmt: skip
@pytest.mark.parametrize("words", [("predict", "--input=rows.txt", "--model"), ("test", "--ckpt_path")])
def test_the_tokenizer_of_a_checkpoint(words, name, said, here, run_copy, complaint, asked):
    (here / "rows.txt").write_text("a joy\n")
    path = run_copy("single") / "best.ckpt"
    content = torch.load(path, weights_only=True)
    files = content["lightning_clf"]["artefact"]["tokenizer"]
    files["tokenizer_config.json"] = as_bytes(json.dumps(CODE_OF_A_TOKENIZER))
    files[name] = as_bytes(PAYLOAD + EVIL)
    torch.save(content, path)
    says(complaint(*words, path), "checkpoint", "is damaged (", said, "use another")
    assert asked.tell() == 0
    assert not (here / "ran").exists()


@pytest.mark.parametrize("model_type", ["bert", "vit"])  # with a tokenizer in transformers, and without
def test_the_tokenizer_of_an_export(model_type, here, run_copy, complaint, command, asked):
    (here / "rows.txt").write_text("a joy\n")
    folder = run_copy("single") / "best"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    (folder / "tokenizer_config.json").write_text(json.dumps(CODE_OF_A_TOKENIZER))
    (folder / "evil.py").write_text(PAYLOAD + EVIL)
    words = ["predict", "--model", folder, "--input", "rows.txt"]
    if model_type == "vit":
        says(complaint(*words), f"export folder {folder} is damaged (it brings code of its own, which is not run)")
    else:  # transformers' own reads the same files
        assert command(*words).code == 0
    assert asked.tell() == 0
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
