"""What does not go together is refused in one line, before anything is trained."""

from __future__ import annotations

import pytest

from lightning_clf import LabelSpace, MultiLabelClassifier, SimilarityRegressor, SingleLabelClassifier, TokenClassifier
from lightning_clf.heads import LinearHead
from lightning_clf.losses import BCELoss, CrossEntropyLoss, FocalLoss, MSELoss
from tests.tiny import ARCHITECTURES, POSITIONS
from tests.training import MODULES, ROWS, complaint, make_data, make_module, make_trainer


@pytest.mark.parametrize(
    ("module", "loss", "fitting"),
    [
        (MultiLabelClassifier, CrossEntropyLoss(), "single, tags"),
        (MultiLabelClassifier, FocalLoss(), "single, tags"),
        (SingleLabelClassifier, BCELoss(), "multi"),
        (TokenClassifier, MSELoss(), "score"),
        (SimilarityRegressor, CrossEntropyLoss(), "single, tags"),
    ],
)
def test_a_loss_for_another_kind(module, loss, fitting):
    message = complaint(lambda: module("encoder", loss=loss))
    assert message == (
        f"model.loss {type(loss).__name__} fits labels of kind {fitting}, but {module.__name__} has kind "
        f"{module.kind}: choose another, or leave it out for the default"
    )


def test_a_head_for_another_kind():
    class WordHead(LinearHead):
        kinds = frozenset({"tags"})

    message = complaint(lambda: SingleLabelClassifier("encoder", head=WordHead()))
    assert message.startswith("model.head WordHead fits labels of kind tags, but SingleLabelClassifier has kind single")


def test_weights_given_twice():
    message = complaint(lambda: SingleLabelClassifier("encoder", loss=CrossEntropyLoss(), class_weights="inverse"))
    assert message == "model.class_weights and model.loss are both given: set class_weights in the loss's init_args"


def test_class_weights_for_scores():
    assert "does not apply to scores" in complaint(lambda: SimilarityRegressor("encoder", class_weights="inverse"))


@pytest.mark.parametrize(
    ("module", "data"), [(one, other) for one in MODULES for other in MODULES if one != other], ids="-".join
)
def test_a_datamodule_of_another_kind(module, data, encoders, tmp_path):
    classifier = make_module(module, encoders("bert"))
    message = complaint(lambda: make_trainer(tmp_path).fit(classifier, make_data(data)))
    assert message.startswith(f"{type(classifier).__name__} needs labels of kind {module!r}")
    assert repr(data) in message
    assert not hasattr(classifier, "network")


def test_labels_of_another_kind_without_a_datamodule(encoders):
    labels = LabelSpace.of(["a", "b"], "multi").to_dict()
    message = complaint(make_module("single", encoders("bert"), labels=labels).build)
    assert message.startswith("SingleLabelClassifier needs labels of kind 'single', but the data's are of kind 'multi'")


def test_no_labels_at_all(encoders):
    assert "the label space is not known" in complaint(make_module("single", encoders("bert")).build)
    assert "not built yet" in complaint(lambda: make_module("single", encoders("bert")).artefact)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_window_beyond_the_encoder(architecture, encoders):
    module = make_module("single", encoders(architecture), labels=LabelSpace.of(["a", "b"], "single").to_dict())
    module.max_length = POSITIONS
    module.build()
    module.max_length = POSITIONS + 1
    message = complaint(module.build)
    assert message.startswith(f"data.max_length {POSITIONS + 1} is beyond what encoder")
    assert message.endswith(f"set it to {POSITIONS} or less")


def test_a_window_beyond_the_encoder_in_a_fit(encoders, tmp_path):
    data = make_data("single", max_length=POSITIONS + 1)
    message = complaint(lambda: make_trainer(tmp_path).fit(make_module("single", encoders("bert")), data))
    assert f"data.max_length {POSITIONS + 1}" in message


def test_a_key_the_encoder_does_not_have(encoders, tmp_path):
    module = make_module("single", encoders("bert"), encoder_options={"dropuot": 0.0})
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single")))
    assert message.startswith("encoder_options has 'dropuot', but bert (")


def test_an_argument_no_checkpoint_can_hold():
    message = complaint(lambda: SingleLabelClassifier("encoder", monitor=object()))
    assert "SingleLabelClassifier(monitor=…) is a object, which a checkpoint cannot hold" in message


@pytest.mark.parametrize(("kind", "monitor"), [("single", "f1_macro"), ("multi", "f1_macro"), ("score", "spearman")])
def test_the_metric_a_task_is_judged_by(kind, monitor, encoders):
    assert make_module(kind, encoders("bert")).monitor == f"val/{monitor}"
    assert make_module(kind, encoders("bert"), monitor="val/loss").monitor == "val/loss"


@pytest.mark.parametrize(("scheme", "given", "monitor"), [
    ("none", None, "val/accuracy"), ("none", "val/f1_macro", "val/f1_macro"), ("IOB2", None, "val/entity_f1"),
    ("BIOES", "val/accuracy", "val/accuracy"),
])  # fmt: skip
def test_the_metric_tags_are_judged_by(scheme, given, monitor, encoders):
    labels = LabelSpace.tags(["A", "B"], scheme).to_dict()
    module = make_module("tags", encoders("bert"), labels=labels, monitor=given)
    module.build()
    assert module.monitor == monitor


@pytest.mark.parametrize("kind", ["single", "multi", "tags"])
def test_labels_in_dev_that_train_lacks(kind, encoders, tmp_path):
    new = {
        "single": {"text": "a", "label": "new"},
        "multi": {"text": "a", "labels": ["new"]},
        "tags": {"tokens": ["a"], "tags": ["B-NEW"]},
    }[kind]
    data = make_data(kind, source={"train": ROWS[kind], "val": [*ROWS[kind], new]})
    message = complaint(lambda: make_trainer(tmp_path).fit(make_module(kind, encoders("bert")), data))
    assert "new" in message.lower()
    assert "data.labels" in message
