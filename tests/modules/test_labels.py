"""The labels of a trained module are the data's, unless the data say otherwise: then it is said which."""

from __future__ import annotations

import pytest

from lightning_clf import SingleLabelClassifier
from tests.training import MODULES, ROWS, complaint, make_data, make_module, make_trainer


@pytest.fixture(scope="module")
def checkpoints(encoders, tmp_path_factory):
    """A checkpoint of each kind, by kind, whose labels are declared in an order of their own."""
    folder = tmp_path_factory.mktemp("labels")
    order = {"single": ["good", "bad", "fine"], "multi": ["joy", "fear"], "tags": ["PER", "LOC"], "score": None}
    for kind, labels in order.items():
        trainer = make_trainer(folder)
        trainer.fit(make_module(kind, encoders("bert")), make_data(kind, labels=labels))
        trainer.save_checkpoint(folder / f"{kind}.ckpt")
    return lambda kind: str(folder / f"{kind}.ckpt")


@pytest.fixture
def evaluate(checkpoints, tmp_path):
    """Run `test` of a checkpoint on data."""

    def run(kind, **options):
        module = MODULES[kind].load_from_checkpoint(checkpoints(kind))
        data = make_data(kind, **options)
        make_trainer(tmp_path).test(module, data, verbose=False)
        return data, module

    return run


@pytest.mark.parametrize("kind", MODULES)
def test_data_without_declared_labels_take_the_models(kind, evaluate):
    data, module = evaluate(kind)
    assert data.labels == module.labels
    expected = {
        "single": ("good", "bad", "fine"),
        "multi": ("joy", "fear"),
        "tags": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
        "score": ("score",),
    }
    assert data.labels.names == expected[kind]


def test_data_may_hold_fewer_labels_than_the_model(evaluate):
    data, _ = evaluate("single", rows=[row for row in ROWS["single"] if row["label"] != "fine"])
    assert len(data.labels) == 3


@pytest.mark.parametrize(("kind", "labels", "message"), [
    ("single", ["good", "bad", "fine", "new"], "label 'new' of the data is not one the model was trained with (good,"),
    ("single", ["good", "bad"], "label 'fine' of the model is not one of the data's"),
    ("single", ["bad", "fine", "good"], "data.labels has the model's labels in another order"),
    ("multi", ["fear", "joy"], "data.labels has the model's labels in another order"),
    ("tags", ["LOC", "PER", "ORG"], "label 'ORG' of the data is not one the model was trained with (PER, LOC)"),
    ("tags", ["LOC", "PER"], "data.labels has the model's labels in another order"),
])  # fmt: skip
def test_declared_labels_that_differ(kind, labels, message, evaluate):
    rows = None if len(labels) > 2 or kind != "single" else [row for row in ROWS[kind] if row["label"] != "fine"]
    said = complaint(lambda: evaluate(kind, labels=labels, rows=rows))
    assert said.startswith(message)
    assert "data.labels" in said


@pytest.mark.parametrize(("kind", "row"), [
    ("single", {"text": "a", "label": "new"}),
    ("multi", {"text": "a", "labels": ["joy", "new"]}),
    ("tags", {"tokens": ["a"], "tags": ["B-new"]}),
])  # fmt: skip
def test_a_row_with_a_label_the_model_lacks(kind, row, evaluate):
    message = complaint(lambda: evaluate(kind, rows=[*ROWS[kind], row]))
    assert "'new'" in message
    assert "train[8]" in message
    assert "data.labels" in message


def test_columns_of_labels_in_another_order(evaluate):
    rows = [
        {"text": row["text"], **{name: int(name in row["labels"]) for name in ("fear", "joy")}} for row in ROWS["multi"]
    ]
    evaluate("multi", rows=rows, label_columns=["joy", "fear"])
    assert "another order" in complaint(lambda: evaluate("multi", rows=rows, label_columns=["fear", "joy"]))


def test_another_range_of_scores(evaluate):
    message = complaint(lambda: evaluate("score", score_range=(0.0, 10.0)))
    assert message.startswith("data.score_range is [0.0, 10.0], but the model was trained on [0.0, 5.0]")


def test_tags_that_are_no_spans(evaluate):
    assert "scheme" in complaint(lambda: evaluate("tags", rows=[{"tokens": ["a", "b"], "tags": ["NN", "VB"]}]))


def test_labels_read_before_the_model_was_known(checkpoints, tmp_path):
    data = make_data("single")
    assert data.labels.names == ("bad", "fine", "good")
    module = SingleLabelClassifier.load_from_checkpoint(checkpoints("single"))
    assert "another order" in complaint(lambda: make_trainer(tmp_path).test(module, data, verbose=False))


@pytest.mark.parametrize("labels", [["bad", "fine", "good"], ["good", "bad", "fine", "new"]])
def test_a_fit_that_goes_on_with_other_labels(labels, checkpoints, encoders, tmp_path):
    module = make_module("single", encoders("bert"))
    fit = make_trainer(tmp_path, max_epochs=2).fit
    message = complaint(lambda: fit(module, make_data("single", labels=labels), ckpt_path=checkpoints("single")))
    assert "data.labels" in message


def test_a_fit_that_goes_on_from_another_task(checkpoints, encoders, tmp_path):
    module = make_module("single", encoders("bert"))
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single"), ckpt_path=checkpoints("multi")))
    assert "is of a lightning_clf.modules.multi_label.MultiLabelClassifier, not of a SingleLabelClassifier" in message
