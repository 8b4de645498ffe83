"""Bad configurations: one line that names the file and line, the key, what is wrong with it and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFIG = """\
model:
  class_path: SingleLabelClassifier
  init_args:
    encoder: nowhere
    head:
      class_path: LinearHead
      init_args:
        pooling: mean
data:
  class_path: SequenceDataModule
  init_args:
    source: nowhere
    batch_size: 4
trainer:
  max_epochs: 1
"""


@pytest.fixture
def refused(complaint, tmp_path):
    """Fit the configuration with one thing changed; what is said of it, without the file's name."""

    def run(old: str = "", new: str = "", *words: str) -> str:
        assert old in CONFIG
        path = tmp_path / "task.yaml"
        path.write_text(CONFIG.replace(old, new) if old else CONFIG)
        return complaint("fit", "--config", path, *words).replace(f"{path} ", "")

    return run


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "trainer:",
            "bogus: 1\ntrainer:",
            "line 14: bogus is not a key of the configuration: the keys here are config, seed_everything, trainer, "
            "model, data, checkpoint, early_stopping, ckpt_path, weights_only",
        ),
        (
            "trainer:",
            "trainr:",
            "line 15: trainr.max_epochs is not a key of the configuration: did you mean trainer.max_epochs?",
        ),
        (
            "max_epochs",
            "max_epoch",
            "line 15: trainer.max_epoch is not a key of the configuration: did you mean trainer.max_epochs?",
        ),
        ("encoder:", "encodr:", "line 4: model.encodr is not a key of SingleLabelClassifier: did you mean model.encoder?"),
        ("source:", "sorce:", "line 12: data.sorce is not a key of SequenceDataModule: did you mean data.source?"),
        ("pooling:", "poling:", "line 8: model.head.poling is not a key of LinearHead: did you mean model.head.pooling?"),
        ("pooling:", "width:", "line 8: model.head.width is not a key of LinearHead: its keys are pooling, dropout"),
    ],
    ids=["top", "section", "trainer", "model", "data", "head", "head, unlike any"],
)
def test_unknown_key_is_named_with_the_one_that_was_meant(refused, old, new, said):
    assert refused(old, new) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "SingleLabelClassifier",
            "SingleLabelClasifier",
            "line 2: model.class_path 'SingleLabelClasifier' is not a class that fits here: did you mean "
            "SingleLabelClassifier?",
        ),
        (
            "SequenceDataModule",
            "sequencedatamodule",
            "line 10: data.class_path 'sequencedatamodule' is not a class that fits here: did you mean "
            "SequenceDataModule?",
        ),
        (
            "LinearHead",
            "LinarHead",
            "line 6: model.head.class_path 'LinarHead' is not a class that fits here: did you mean LinearHead?",
        ),
        (
            "LinearHead",
            "BCELoss",
            "line 6: model.head.class_path 'BCELoss' is not a class that fits here: use one of ArchitectureHead, "
            "LinearHead, MLPHead, or the dotted path of a class of your own",
        ),
        (
            "LinearHead",
            "my_own.Head",
            "line 6: model.head.class_path 'my_own.Head' cannot be imported (No module named 'my_own'): install the "
            "package that defines it, or put its folder on PYTHONPATH",
        ),
        (
            "LinearHead",
            "lightning_clf.heads.Hed",
            "line 6: model.head.class_path 'lightning_clf.heads.Hed' cannot be imported (module 'lightning_clf.heads' "
            "has no attribute 'Hed'): install the package that defines it, or put its folder on PYTHONPATH",
        ),
        (
            "  class_path: SequenceDataModule\n",
            "",
            "line 9: data has no class_path: set it to one of CoNLL2003DataModule, MultiLabelDataModule, "
            "NLIDataModule, SST2DataModule, SequenceDataModule, TokenDataModule",
        ),
    ],
    ids=["model", "capitals", "head", "another base", "no package", "no attribute", "none at all"],
)
def test_class_that_does_not_fit_is_answered_with_those_that_do(refused, old, new, said):
    assert refused(old, new) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_epochs: 1", "max_epochs: few", "line 15: trainer.max_epochs is few, but must be a whole number: correct it"),
        ("batch_size: 4", "batch_size: 4.5", "line 13: data.batch_size is 4.5, but must be a whole number: correct it"),
        ("encoder: nowhere", "encoder: [a]", "line 4: model.encoder is ['a'], but must be text: correct it"),
        (
            "pooling: mean",
            "pooling: meen",
            "line 8: model.head.pooling is meen, but must be cls, mean, max, attention, last or first: did you mean mean?",
        ),
        (
            "encoder: nowhere",
            "encoder: nowhere\n    class_weights: inverted",
            "line 5: model.class_weights is inverted, but must be inverse, sqrt_inverse, effective, a list or a mapping: "
            "did you mean inverse?",
        ),
        ("    encoder: nowhere\n", "", "line 1: model.encoder is missing: set it, or give --model.encoder"),
        ("batch_size: 4", "batch_size: 0", "data.batch_size is 0: give 1 or more"),
        (
            "pooling: mean",
            "dropout: 2.0",
            "the configuration is refused (dropout probability has to be between 0 and 1, but got 2.0): correct the value",
        ),
    ],
    ids=["trainer", "data", "model", "choice", "shorthand", "missing", "out of range", "refused by torch"],
)
def test_wrong_value_is_shown_with_what_it_must_be(refused, old, new, said):
    assert refused(old, new) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus", "1"], "bogus is not a key of the configuration: the keys here are config"),
        (["--trainer.max_epoch=1"], "trainer.max_epoch is not a key of the configuration: did you mean trainer.max_epochs?"),
        (["--learning_rate", "1"], "learning_rate is not a key of the configuration: did you mean model.learning_rate?"),
        (["--model.learnin_rate", "1"], "model.learnin_rate is not a key of SingleLabelClassifier: did you mean"),
        (["--model.init_args.learning_rate", "x"], "model.learning_rate is x, but must be a number: correct it"),
        (["--data", "TokenDatamodul"], "data.class_path 'TokenDatamodul' is not a class that fits here: did you mean Tok"),
        (["stray"], "argument 'stray' is not understood: options start with --, as in --config FILE"),
        (["--config"], "argument -c/--config: expected one argument: see --help"),
        (["--trainer.strategy", "dpp"], "trainer: You selected an invalid strategy name: `strategy='dpp'`."),
        (["--trainer.max_epochs", "-5"], "`max_epochs` must be a non-negative integer or -1. You passed in -5."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_fault_on_the_command_line_is_not_blamed_on_a_file(refused, words, said):
    assert refused("", "", *words).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model:\n  a: b: c\n", "line 2 is not YAML (mapping values are not allowed here): check the line's indentation"),
        ("model: [1\n", "line 2 is not YAML (did not find expected ',' or ']'): check"),
        ("", "is empty: give it at least a model and a data section"),
        ("# nothing\n", "is empty: "),
        ("- model\n", "is no mapping: start it with a key such as model:"),
        (CONFIG + "trainer:\n  max_steps: 2\n", "line 16 has the key 'trainer' again, after line 14: merge the two"),
        ("model:\n  a: 1\n  b: 2\n  a: 3\n", "line 4 has the key 'a' again, after line 2"),
        ("data: 3\n", "line 1: data is no BaseDataModule: give it a class_path, and its keys under init_args"),
        ("model: \xff", "is not UTF-8 (byte 8): save it as UTF-8"),
    ],
    ids=["colon", "bracket", "empty", "comment", "list", "section twice", "key twice", "no section", "latin-1"],
)
def test_file_that_is_no_configuration_is_told_by_its_line(complaint, tmp_path, text, said):
    path = tmp_path / "task.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert said in complaint("fit", "--config", path)


def test_missing_config_is_answered_with_those_that_are_shipped(complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint("fit", "--config", "nre.yaml").startswith(
        "config 'nre.yaml' is neither a file here nor a shipped one: the shipped ones are multilabel.yaml, ner.yaml, "
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "no data are given: use --config with a file that has a data section, or --data CLASS"),
        (["fit", "--data", "SST2DataModule"], "no model is given: use --config with a file that has a model section"),
        (["fit", "--model", "TokenClassifier", "--model.encoder", "x"], "no data are given: "),
        (["test"], "test needs a trained model: give --ckpt_path FILE, such as RUN/best.ckpt"),
        (["validate", "--config", "sst2.yaml"], "validate needs a trained model: give --ckpt_path FILE"),
        (["test", "--ckpt_path", "nowhere.ckpt"], "checkpoint nowhere.ckpt does not exist: give a .ckpt file that `fit`"),
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


def test_nothing_is_written_where_the_configuration_is_refused(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused("pooling:", "poling:")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["task.yaml"]
