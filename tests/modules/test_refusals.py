"""What does not go together is refused in one line, before anything is trained."""

from __future__ import annotations

import warnings

import pytest
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.strategies import FSDPStrategy
from torch.utils.data import DataLoader

from lightning_clf import LabelSpace, MultiLabelClassifier, SimilarityRegressor, SingleLabelClassifier, TokenClassifier
from lightning_clf.encoding import Collator
from lightning_clf.heads import LinearHead
from lightning_clf.losses import (
    AsymmetricLoss,
    BCELoss,
    BinaryFocalLoss,
    CrossEntropyLoss,
    DiceLoss,
    DistributionBalancedLoss,
    FocalLoss,
    GeneralizedCrossEntropyLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    MSELoss,
)
from lightning_clf.modules.checks import check_trainer
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


class WordHead(LinearHead):
    kinds = frozenset({"tags"})


def test_a_head_for_another_kind():
    message = complaint(lambda: SingleLabelClassifier("encoder", head=WordHead()))
    assert message.startswith("model.head WordHead fits labels of kind tags, but SingleLabelClassifier has kind single")


def test_weights_given_twice():
    message = complaint(lambda: SingleLabelClassifier("encoder", loss=CrossEntropyLoss(), class_weights="inverse"))
    assert message == "model.class_weights and model.loss are both given: set class_weights in the loss's init_args"
    message = complaint(lambda: MultiLabelClassifier("encoder", loss=AsymmetricLoss(), class_weights="inverse"))
    assert message == (
        "model.class_weights is short for the standard loss with weights, but model.loss is AsymmetricLoss, which "
        "takes none: leave model.class_weights out, or set model.loss to null"
    )


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
    assert "SingleLabelClassifier(monitor=…) is an object, which a checkpoint cannot hold" in message


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": -1.0}, "model.learning_rate is -1: give a number above 0"),
        ({"learning_rate": float("nan")}, "model.learning_rate is nan: give a number above 0"),
        ({"learning_rate": "5e-5"}, "model.learning_rate is '5e-5', which is no number: give a number above 0"),
        ({"weight_decay": -1.0}, "model.weight_decay is -1: give 0 or more"),
        ({"warmup_ratio": 5.0}, "model.warmup_ratio is 5: give a number from 0 to 1"),
        ({"warmup_ratio": -0.5}, "model.warmup_ratio is -0.5: give a number from 0 to 1"),
    ],
)
def test_a_number_out_of_bounds(options, said):
    assert complaint(lambda: SingleLabelClassifier("encoder", **options)) == said


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda: CrossEntropyLoss(label_smoothing=2.0), "label_smoothing is 2: give a number from 0 to 1"),
        (lambda: FocalLoss(gamma=-1.0), "gamma is -1: give 0 or more"),
        (lambda: BinaryFocalLoss(alpha=1.5), "alpha is 1.5: give a number from 0 to 1"),
        (lambda: AsymmetricLoss(margin=-0.1), "margin is -0.1: give a number from 0 to 1"),
        (lambda: BCELoss(label_smoothing=-0.1), "label_smoothing is -0.1: give a number from 0 to 1"),
        (lambda: LogitAdjustedLoss(tau=-1.0), "tau is -1: give 0 or more"),
        (lambda: LDAMLoss(max_margin=-0.5), "max_margin is -0.5: give 0 or more"),
        (lambda: LDAMLoss(scale=0.0), "scale is 0: give a number above 0"),
        (lambda: LDAMLoss(reweight_from=80.0), "reweight_from is 80: give a number from 0 to 1"),
        (lambda: DistributionBalancedLoss(negative_scale=0.0), "negative_scale is 0: give a number above 0"),
        (lambda: DistributionBalancedLoss(kappa=-1.0), "kappa is -1: give 0 or more"),
        (lambda: DiceLoss(gamma=0.0), "gamma is 0: give a number above 0"),
        (lambda: GeneralizedCrossEntropyLoss(q=1.5), "q is 1.5: give a number from 0 to 1"),
        (
            lambda: CrossEntropyLoss({1: 2.0}),
            "class_weights has the key 1, which is no text: put names of labels in",
        ),
    ],
)
def test_a_number_of_a_loss_out_of_bounds(loss, said):
    assert complaint(loss).startswith(said)


def test_weights_that_are_all_zero():
    loss = CrossEntropyLoss([0.0, 0.0])
    message = complaint(lambda: loss.build(LabelSpace.of(["a", "b"], "single")))
    assert message == "class_weights is 0 for every label, so that nothing would be learned: give one a weight"


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("score", {"precision": "bf16-true"}, "trainer.precision bf16-true would round the scores of the data"),
        (
            "single",
            {"max_epochs": -1, "max_time": "00:00:01:00"},
            "set trainer.max_epochs or trainer.max_steps, which trainer.max_time may cut short",
        ),
        ("single", {"accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches is 0: give 1 or more"),
        (
            "single",
            {"callbacks": [GradientAccumulationScheduler({0: 1, 1: 4})]},
            "trainer.callbacks has a GradientAccumulationScheduler, with which nothing that follows the steps of the "
            "run can be planned: set trainer.accumulate_grad_batches in its place, one number for all epochs",
        ),
    ],
)
def test_a_trainer_that_would_spoil_a_run(kind, options, said, encoders, tmp_path):
    trainer = make_trainer(tmp_path, **options)
    assert said in complaint(lambda: trainer.fit(make_module(kind, encoders("bert")), make_data(kind)))


def test_weights_that_are_split_over_processes(encoders, tmp_path):
    trainer = make_trainer(tmp_path)
    trainer._accelerator_connector.strategy = FSDPStrategy()  # which no Trainer takes without GPUs
    said = "trainer.strategy splits the weights, of which decay and exports must see the whole: use ddp"
    assert complaint(lambda: check_trainer(trainer, "single")) == said


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_weights_in_half_precision_are_warned_of_in_a_fit_alone(kind, encoders, tmp_path):
    def said(step):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
        return [str(one.message) for one in caught if "precision" in str(one.message)]

    module, data = make_module(kind, encoders("bert")), make_data(kind)
    trainer = make_trainer(tmp_path, precision="bf16-true")
    assert said(lambda: trainer.fit(module, data)) == [
        "trainer.precision bf16-true keeps the weights themselves in half precision, in which most updates of AdamW "
        "are rounded away: use bf16-mixed for a fit"
    ]
    assert said(lambda: trainer.validate(module, data, verbose=False)) == []
    assert said(lambda: make_trainer(tmp_path, precision="bf16-mixed").fit(module, data)) == []


class Plain(LightningDataModule):
    """A datamodule of somebody else's, without labels of ours."""

    def __init__(self, loader):
        super().__init__()
        self.loader = loader

    def train_dataloader(self):
        return self.loader


def test_a_datamodule_of_somebody_elses(encoders, tmp_path):
    labels = LabelSpace.of(["bad", "fine", "good"], "single")
    module = make_module("single", encoders("bert"), labels=labels.to_dict())
    rows = [{"input_ids": [2, 5, 3], "target": index % 3, "example_id": index} for index in range(4)]
    loader = DataLoader(rows, batch_size=2, collate_fn=Collator(module.tokenizer, labels))
    make_trainer(tmp_path).fit(module, Plain(loader))
    assert module.labels == labels


def test_parts_are_named_and_not_taken_for_one_another():
    with pytest.raises(TypeError):
        TokenClassifier("encoder", LinearHead())
