"""Files that are no configuration, and commands that lack what they need."""

from __future__ import annotations

import pytest

from tests.cli.conftest import SINGLE, says, write_rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model:\n  a: b: c\n", "line 2 is not YAML (mapping values are not allowed here): check the line's"),
        ("model: [1\n", "line 2 is not YAML (expected ',' or ']', but got '<stream end>'): check"),
        ("model: a\tb\n\x00", "is not YAML (unacceptable character #x0000: special characters are not allowed"),
        ("", "is empty: give it at least a model and a data section"),
        ("# nothing\n", "is empty: "),
        ("- model\n", "is no mapping: start it with a key such as model:"),
        ("trainer: {}\ntrainer:\n  max_steps: 2\n", "line 2 has the key 'trainer' again, after line 1: merge the two"),
        ("model:\n  a: 1\n  b: 2\n  a: 3\n", "line 4 has the key 'a' again, after line 2"),
        ("data: 3\n", "line 1: data has no class_path: set it to one of CoNLL2003DataModule, "),
        ("model: \xff", "is not UTF-8 (byte 8): save it as UTF-8"),
    ],
    ids=["colon", "bracket", "binary", "empty", "comment", "list", "section twice", "key twice", "scalar", "latin-1"],
)
def test_file_that_is_no_configuration_is_told_by_its_line(complaint, tmp_path, text, said):
    path = tmp_path / "task.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert f"{path} {said}" in complaint("fit", "--config", path)


def test_missing_config_is_answered_with_those_that_are_shipped(complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint("fit", "--config", "nre.yaml").startswith(
        "config 'nre.yaml' is neither a file here nor a shipped one: the shipped ones are answer_selection.yaml, "
        "distill.yaml, long.yaml, multilabel.yaml, multilabel_imbalanced.yaml, multitask.yaml, ner.yaml, "
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "no data are given: use --config with a file that has a data section, or --data CLASS"),
        (["fit", "--data", "SST2DataModule"], "no model is given: use --config with a file that has a model section"),
        (["fit", "--model", "TokenClassifier", "--model.encoder", "x"], "no data are given: "),
        (["test"], "test needs a trained model: give --ckpt_path FILE, such as RUN/best.ckpt"),
        (["validate", "--config", "sst2.yaml"], "validate needs a trained model: give --ckpt_path FILE"),
        (["test", "--ckpt_path", "nowhere.ckpt"], "checkpoint nowhere.ckpt does not exist: give a .ckpt file"),
        (
            ["test", "--ckpt_path", "."],
            "checkpoint . is a folder: give a .ckpt file that `fit` wrote, such as RUN/",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_command_needs_and_lacks_is_named(complaint, words, said):
    assert complaint(*words).startswith(said)


@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "FocalLoss"])
def test_softmax_loss_on_multi_label_is_refused(complaint, loss):
    words = ["fit", "--model", "MultiLabelClassifier", "--model.encoder", "x", "--data", "MultiLabelDataModule"]
    assert complaint(*words, "--model.loss", loss) == (
        f"model.loss {loss} fits labels of kind single, tags, but MultiLabelClassifier has kind multi: choose another, "
        "or leave it out for the default"
    )


def test_nothing_is_written_where_the_configuration_is_refused(complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complaint("fit", "--config", "sst2.yaml", "--data.batch_size", "0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed_everything", -3), ("seed_everything", 10**30), ("data.seed", 10**30), ("trainer.gradient_clip_val", -1)],
)
def test_numbers_out_of_bounds(complaint, fit_words, tmp_path, key, value):
    source = write_rows(tmp_path / "data", SINGLE)
    message = complaint(*fit_words("single", source), f"--{key}={value}")
    says(message, f"{key} is {value}", "give ")
    assert not (tmp_path / "run").exists()


def test_a_key_of_a_class_that_nobody_named(complaint):
    said = complaint("fit", "--data.source", "rows", "--model.encoder", "encoder")
    assert said in (
        "data.source is given, but not the class it is a key of: add a --config that names one, or --data CLASS",
        "model.encoder is given, but not the class it is a key of: add a --config that names one, or --model CLASS",
    )
