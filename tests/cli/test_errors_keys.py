"""Keys, classes and values that are not right: one line with file and line, what is wrong, and what was meant."""

from __future__ import annotations

import pytest
import torch

from tests.cli.conftest import SINGLE, write_rows

NO_KEY = "is not a key of the configuration:"
NO_CLASS = "is not a class that fits here:"
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

    def run(old: str, new: str, *words: str) -> str:
        assert old in CONFIG
        path = tmp_path / "task.yaml"
        path.write_text(CONFIG.replace(old, new))
        return complaint("fit", "--config", path, *words).replace(f"{path} ", "")

    return run


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "trainer:",
            "bogus: 1\ntrainer:",
            f"line 14: bogus {NO_KEY} the keys here are config, seed_everything, trainer, model, data, checkpoint, "
            "early_stopping, ckpt_path, weights_only",
        ),
        ("trainer:", "trainr:", f"line 15: trainr.max_epochs {NO_KEY} did you mean trainer.max_epochs?"),
        ("max_epochs", "max_epoch", f"line 15: trainer.max_epoch {NO_KEY} did you mean trainer.max_epochs?"),
        (
            "encoder",
            "encodr",
            "line 4: model.encodr is not a key of SingleLabelClassifier: did you mean model.encoder?",
        ),
        ("source", "sorce", "line 12: data.sorce is not a key of SequenceDataModule: did you mean data.source?"),
        ("pooling", "poling", "line 8: model.head.poling is not a key of LinearHead: did you mean model.head.pooling?"),
        (
            "pooling",
            "width",
            "line 8: model.head.width is not a key of LinearHead: its keys are pooling, dropout, windows",
        ),
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
            f"line 2: model.class_path 'SingleLabelClasifier' {NO_CLASS} did you mean SingleLabelClassifier?",
        ),
        (
            "SequenceDataModule",
            "sequencedatamodule",
            f"line 10: data.class_path 'sequencedatamodule' {NO_CLASS} did you mean SequenceDataModule?",
        ),
        ("LinearHead", "LinarHead", f"line 6: model.head.class_path 'LinarHead' {NO_CLASS} did you mean LinearHead?"),
        (
            "LinearHead",
            "BCELoss",
            f"line 6: model.head.class_path 'BCELoss' {NO_CLASS} use one of ArchitectureHead, CRFHead, EmbeddingHead, "
            "LabelAttentionHead, LinearHead, MLPHead, OrdinalHead, SpanHead, or the dotted path of a class of your own",
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
            "  class_path: SingleLabelClassifier\n",
            "",
            "line 1: model has no class_path: set it to one of MultiLabelClassifier, MultiTaskClassifier, "
            "SetFitClassifier, SimilarityRegressor, SingleLabelClassifier, TokenClassifier, and its keys in init_args",
        ),
        (
            "  class_path: SequenceDataModule\n",
            "",
            "line 9: data has no class_path: set it to one of CoNLL2003DataModule, FewShotDataModule, "
            "MultiLabelDataModule, MultiTaskDataModule, NLIDataModule, SST2DataModule, SequenceDataModule, "
            "TokenDataModule, and its keys in init_args",
        ),
    ],
    ids=["model", "capitals", "head", "another base", "no package", "no attribute", "no model", "no data"],
)
def test_class_that_does_not_fit_is_answered_with_those_that_do(refused, old, new, said):
    assert refused(old, new) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs: 1", "epochs: x", "line 15: trainer.max_epochs is x, but must be a whole number: correct it"),
        ("batch_size: 4", "batch_size: 4.5", "line 13: data.batch_size is 4.5, but must be a whole number: correct it"),
        ("encoder: nowhere", "encoder: [a]", "line 4: model.encoder is ['a'], but must be text: correct it"),
        (
            "pooling: mean",
            "pooling: meen",
            "line 8: model.head.pooling is meen, but must be cls, mean, max, attention, last or first: "
            "did you mean mean?",
        ),
        (
            "encoder: nowhere",
            "encoder: nowhere\n    class_weights: inverted",
            "line 5: model.class_weights is inverted, but must be inverse, sqrt_inverse, effective, a list or "
            "a mapping: did you mean inverse?",
        ),
        ("    encoder: nowhere\n", "", "line 1: model.encoder is missing: set it, or give --model.encoder"),
        ("batch_size: 4", "batch_size: 0", "data.batch_size is 0: give 1 or more"),
        (
            "batch_size: 4",
            'kind: multi\n    label_separator: ""',
            "data.label_separator is empty: set it to what stands between labels, such as |",
        ),
        (
            "LinearHead\n      init_args:\n        pooling: mean",
            "MLPHead\n      init_args:\n        hidden_features: -4",
            "hidden_features is -4: give 1 or more",
        ),
        (
            "pooling: mean",
            "dropout: 2.0",
            "dropout is 2: give a number from 0 to 1",
        ),
    ],
    ids=[
        "trainer",
        "data",
        "model",
        "choice",
        "shorthand",
        "missing",
        "out of range",
        "empty",
        "head",
        "refused by the class",
    ],
)
def test_wrong_value_is_shown_with_what_it_must_be(refused, old, new, said):
    assert refused(old, new) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus", "1"], f"bogus {NO_KEY} the keys here are config"),
        (["--trainer.max_epoch=1"], f"trainer.max_epoch {NO_KEY} did you mean trainer.max_epochs?"),
        (["--learning_rate", "1"], f"learning_rate {NO_KEY} did you mean model.learning_rate?"),
        (["--model.learnin_rate", "1"], "model.learnin_rate is not a key of SingleLabelClassifier: did you mean"),
        (["--model.learning_rate", "-1e-4"], "model.learning_rate is -0.0001: give a number above 0"),
        (["--model.init_args.learning_rate", "x"], "model.learning_rate is x, but must be a number: correct it"),
        (["--data", "TokenDatamodul"], f"data.class_path 'TokenDatamodul' {NO_CLASS} did you mean TokenDataModule?"),
        (["stray"], "argument 'stray' is not understood: options start with --, as in --config FILE"),
        (["--config"], "argument -c/--config: expected one argument: see --help"),
        (["--trainer.strategy", "dpp"], "trainer: You selected an invalid strategy name: `strategy='dpp'`."),
        (["--trainer.strategy", "ddp_spawn"], "trainer.strategy starts processes by spawn, in which copies of the"),
        (["--trainer.max_epochs", "-5"], "`max_epochs` must be a non-negative integer or -1. You passed in -5."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_fault_on_the_command_line_is_not_blamed_on_a_file(refused, words, said):
    assert refused("", "", *words).startswith(said)


def test_a_section_that_nobody_knows_is_named(complaint, tmp_path):
    (tmp_path / "more.yaml").write_text("modell:\n  class_path: SingleLabelClassifier\n")
    said = complaint("fit", "--config", "text.yaml", "--config", tmp_path / "more.yaml")
    assert said == f"{tmp_path / 'more.yaml'} line 1: modell {NO_KEY} did you mean model?"


@pytest.mark.parametrize("name", ["fit", "test"])
def test_a_trained_model_is_no_class(complaint, name):
    assert complaint(name, "--model", "runs/run/best") == (
        "model is 'runs/run/best', but must be a class: give a checkpoint as --ckpt_path FILE, such as RUN/best.ckpt; "
        "to answer rows, use lightning-clf predict --model runs/run/best"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="of machines without a GPU")
@pytest.mark.parametrize("name", ["cuda", "gpu"])
def test_an_accelerator_that_is_not_there(complaint, fit_words, tmp_path, name):
    rows = write_rows(tmp_path / "data", SINGLE)
    said = complaint(*fit_words("single", rows, **{"trainer.accelerator": name}))
    assert said.startswith(f"trainer.accelerator is {name!r}, of which PyTorch finds none here: use auto or cpu")
