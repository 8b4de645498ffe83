"""Encoders, checkpoints and folders that cannot be used: one line, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from transformers import ByT5Tokenizer

from lightning_clf.artefact import Artefact
from tests.cli.conftest import SINGLE, TAGS, says, write_rows

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "data", SINGLE)


@pytest.fixture
def encoder(encoders, tmp_path):
    """A copy of an encoder that a test may spoil."""
    return shutil.copytree(encoders("bert"), tmp_path / "encoder")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "owner/name",
            ("encoder 'owner/name' is neither a folder here nor in the local cache", "correct model.encoder"),
        ),
        ("./nowhere", ("encoder folder './nowhere' does not exist", "correct model.encoder")),
        ("a b c", ("encoder 'a b c'", "correct model.encoder")),
    ],
)
def test_encoder_that_is_not_to_be_had_is_named(complaint, fit_words, source, name, said):
    says(complaint(*fit_words("single", source, model__encoder=name)), *said)


def test_encoder_folder_without_a_configuration_is_refused(complaint, fit_words, source, encoder):
    (encoder / "config.json").unlink()
    message = complaint(*fit_words("single", source, model__encoder=encoder))
    says(message, f"encoder folder '{encoder}' holds no config.json", "give the folder save_pretrained wrote")


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_encoder_folder_without_a_tokenizer_is_refused(complaint, fit_words, tmp_path, encoder, kind):
    for file in encoder.glob("*token*"):
        file.unlink()
    rows = write_rows(tmp_path / "rows", {"single": SINGLE, "tags": TAGS}[kind])
    message = complaint(*fit_words(kind, rows, model__encoder=encoder))
    says(message, f"encoder '{encoder}' has no tokenizer", "tokenizer.save_pretrained")


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "bert", "hidden_size": "big"}'])
def test_encoder_folder_with_a_broken_configuration_is_refused(
    complaint, fit_words, source, encoder, tmp_path, content
):
    (encoder / "config.json").write_text(content)
    message = complaint(*fit_words("single", source, model__encoder=encoder))
    says(message, f"encoder '{encoder}' has a config.json that transformers cannot read (", "save the encoder again")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["setting", "weights", "pickle"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_encoder_folder_that_cannot_be_loaded_leaves_no_run(complaint, fit_words, source, encoder, tmp_path, damage):
    if damage == "setting":
        config = json.loads((encoder / "config.json").read_text())
        (encoder / "config.json").write_text(json.dumps({**config, "hidden_act": "nope"}))
    else:
        (encoder / "model.safetensors").unlink()
        (encoder / "pytorch_model.bin").write_bytes(b"hello" if damage == "weights" else pickle.dumps({"a": 1}))
    message = complaint(*fit_words("single", source, model__encoder=encoder))
    says(message, f"encoder '{encoder}'", "save the encoder again with save_pretrained")
    assert not (tmp_path / "run").exists()


def test_slow_tokenizer_is_refused_for_tags_and_taken_for_texts(command, complaint, fit_words, tmp_path, encoder):
    for file in encoder.glob("*token*"):
        file.unlink()
    ByT5Tokenizer().save_pretrained(encoder)
    rows = write_rows(tmp_path / "rows", TAGS)
    message = complaint(*fit_words("tags", rows, model__encoder=encoder))
    says(
        message, f"tokenizer of encoder '{encoder}' is slow-only (ByT5Tokenizer)", "needs a fast one", "choose another"
    )


def test_window_beyond_the_encoder_is_refused_with_its_limit(complaint, fit_words, source):
    message = complaint(*fit_words("single", source, data__max_length=65))
    says(message, "data.max_length 65 is beyond", "encoder", "set it to 64 or less")


def test_checkpoint_of_another_task_is_refused(complaint, trained):
    path = trained("single") / "best.ckpt"
    source = trained("tags").parent / "data"
    data = ["--data", "TokenDataModule", "--data.source", source]
    message = complaint("test", "--ckpt_path", path, *data, "--model", "TokenClassifier", "--model.encoder", "x")
    says(message, f"checkpoint {path} is of a", "SingleLabelClassifier", "TokenClassifier", "leave model out")
    says(complaint("test", "--ckpt_path", path, *data), "SingleLabelClassifier needs labels of kind 'single'", "'tags'")


@pytest.mark.parametrize(
    "words", [("test", "--ckpt_path"), ("fit", "--ckpt_path"), ("predict", "--input=x", "--model")]
)
def test_truncated_checkpoint_is_refused(complaint, run_copy, words):
    path = run_copy("single") / "best.ckpt"
    os.truncate(path, path.stat().st_size // 2)
    says(complaint(*words, path), f"checkpoint {path} is damaged or cut off", "use another")


@pytest.mark.parametrize("name", ["best", "best.ckpt"])
def test_model_that_lost_its_tokenizer_answers_nothing(complaint, run_copy, tmp_path, name):
    path = run_copy("single") / name
    if path.is_dir():
        (path / "tokenizer.json").unlink()
    else:
        content = torch.load(path, weights_only=True)
        del content["lightning_clf"]["artefact"]["tokenizer"]["tokenizer.json"]
        torch.save(content, path)
    (tmp_path / "rows.txt").write_text("a joy\n")
    words = ("--input", tmp_path / "rows.txt", "--output", tmp_path / "answers.jsonl")
    says(complaint("predict", "--model", path, *words), f"{path} is damaged (", ": ")
    assert not (tmp_path / "answers.jsonl").exists()


def test_model_whose_description_is_spoilt_is_refused(complaint, run_copy, tmp_path):
    run = run_copy("single")
    (run / "best" / "lightning_clf.json").write_text("[]")
    (tmp_path / "rows.txt").write_text("a joy\n")
    predict = ("predict", "--input", tmp_path / "rows.txt", "--model")
    says(complaint(*predict, run / "best"), "export folder", "lightning_clf.json is [], not a mapping", "export it")
    content = torch.load(run / "best.ckpt", weights_only=True)
    content["lightning_clf"] = None
    torch.save(content, run / "best.ckpt")
    for words in (predict, ("test", "--ckpt_path"), ("fit", "--ckpt_path")):
        message = complaint(*words, run / "best.ckpt")
        says(message, "best.ckpt is damaged (lightning_clf is None, not a mapping)", "use another")


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2]])
def test_checkpoint_of_another_program_is_refused(complaint, tmp_path, content):
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    message = complaint("test", "--ckpt_path", path, "--data", "SequenceDataModule")
    says(message, f"checkpoint {path} was not written by lightning-clf", "use one that `fit` wrote")


@pytest.mark.parametrize("labels", [("good", "ugly"), ("bad", "good", "ugly")])
def test_checkpoint_with_other_labels_than_the_data_is_refused(complaint, trained, tmp_path, labels):
    rows = [{"text": row["text"], "label": labels[index % len(labels)]} for index, row in enumerate(SINGLE)]
    source = write_rows(tmp_path / "other", rows)
    message = complaint("test", "--ckpt_path", trained("single") / "best.ckpt", "--data.source", source)
    says(message, "label 'ugly'", "train.jsonl line", "not one of the model's (bad, good)", "train anew")


def test_output_folder_under_a_file_is_refused(complaint, fit_words, source, tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    message = complaint(*fit_words("single", source, trainer__default_root_dir=folder))
    says(message, f"output folder {folder} cannot be written", "set trainer.default_root_dir to another")


def test_disk_that_fills_while_exporting_leaves_no_half_export(complaint, fit_words, source, tmp_path, monkeypatch):
    def write(self: Artefact, folder: Any) -> None:
        (folder / "config.json").write_text("{")
        raise NO_SPACE

    monkeypatch.setattr(Artefact, "write", write)
    message = complaint(*fit_words("single", source))
    best = tmp_path / "run" / "best"
    says(message, f"export folder {best} cannot be written", "No space left on device", "free space")
    assert not [path.name for path in best.parent.iterdir() if path.is_dir()]
    assert (tmp_path / "run" / "best.ckpt").is_file()


def test_disk_that_fills_while_a_checkpoint_is_written_is_named(complaint, fit_words, source, tmp_path, monkeypatch):
    def save_checkpoint(*arguments: Any, **options: Any) -> None:
        raise NO_SPACE

    monkeypatch.setattr(Trainer, "save_checkpoint", save_checkpoint)
    message = complaint(*fit_words("single", source))
    says(message, f"checkpoint {tmp_path}/run/best.ckpt cannot be written (No space left on device)", "free space")


def test_metric_that_is_not_the_task_s_is_answered_with_those_that_are(complaint, fit_words, source):
    message = complaint(*fit_words("single", source, model__monitor="val/entity_f1"))
    says(message, "model.monitor 'val/entity_f1' is not a metric of this task", "val/accuracy", "val/f1_macro")
