"""What a module is given in Python: values of other types than a configuration has, and what is none of ours."""

from __future__ import annotations

import reprlib

import numpy as np
import pytest
import torch
from torch import nn

from lightning_clf import LabelSpace, MultiTaskClassifier, SingleLabelClassifier
from lightning_clf.finetuning import FineTuning
from lightning_clf.heads import Head, LinearHead
from lightning_clf.losses import CrossEntropyLoss, Loss, LossTerms
from tests.several_tasks import make_tasks
from tests.training import LABELS, complaint, make_data, make_module, make_trainer


@pytest.mark.parametrize(
    ("labels", "what"), [(LabelSpace.of(["a", "b"], "single"), "a LabelSpace"), (["a", "b"], "a list")]
)
def test_labels_that_are_no_mapping(labels, what):
    assert complaint(lambda: SingleLabelClassifier("encoder", labels=labels)) == (
        f"labels {reprlib.repr(labels)} are not what LabelSpace.to_dict writes ({what}): leave them out to take those "
        "of the data, or give LabelSpace.of(names, kind).to_dict()"
    )


@pytest.mark.parametrize(("key", "part"), [("head", LinearHead), ("loss", CrossEntropyLoss)])
def test_a_class_in_the_place_of_a_part(key, part):
    assert complaint(lambda: SingleLabelClassifier("encoder", **{key: part})) == (
        f"lightning_clf.modules.single_label.SingleLabelClassifier({key}=…) is a class, {part.__name__}: give what it "
        f"makes, as in {part.__name__}()"
    )


def test_paths_and_numbers_of_numpy_are_kept_as_plain_ones(encoders, tmp_path):
    module = SingleLabelClassifier(
        encoders("bert"),
        learning_rate=np.float32(0.5),
        weight_decay=np.float64(0.25),
        warmup_ratio=np.float32(0.5),
        finetuning=FineTuning(layer_decay=np.float64(0.5), head_learning_rate=np.float32(0.25)),
    )
    data = make_data("single", batch_size=np.int64(4), seed=np.int64(1), max_length=np.int64(32))
    trainer = make_trainer(tmp_path)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    given = torch.load(tmp_path / "one.ckpt", weights_only=True)["lightning_clf"]["module"]["init_args"]
    assert (given["encoder"], given["learning_rate"], given["warmup_ratio"]) == (str(encoders("bert")), 0.5, 0.5)
    again = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "one.ckpt"))
    going_on = make_trainer(tmp_path, max_epochs=2)
    going_on.fit(again, data, ckpt_path=tmp_path / "one.ckpt")
    assert going_on.global_step == 2 * trainer.global_step


def test_several_tasks_take_a_path(encoders):
    assert MultiTaskClassifier(encoders("bert")).spec()["init_args"] == {"encoder": str(encoders("bert"))}


def said_of_batch(module, given):
    return (
        f"{module} was given {given} for a batch, and reads a lightning_clf.batch.Batch: take a datamodule of "
        "lightning_clf, or lightning_clf.encoding.Collator for the collate_fn of a loader"
    )


@pytest.mark.parametrize("step", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("train_continuations", [None, True])
def test_a_batch_of_another_library(step, train_continuations, encoders, tmp_path):
    kind, options = ("tags", {"train_continuations": True}) if train_continuations else ("single", {})
    module = make_module(kind, encoders("bert"), labels=LABELS[kind].to_dict(), **options)
    rows = [{"input_ids": torch.tensor([2, 5, 3]), "labels": 0}] * 4
    loader = torch.utils.data.DataLoader(rows, batch_size=2)
    message = complaint(lambda: getattr(make_trainer(tmp_path), step)(module, loader))
    assert message == said_of_batch(type(module).__name__, "a dict")


def test_what_a_module_is_called_with(encoders):
    module = make_module("single", encoders("bert"), labels=LabelSpace.of(["a", "b"], "single").to_dict())
    module.build()
    ids = torch.tensor([[2, 5, 3]])
    assert complaint(lambda: module(ids)) == said_of_batch("SingleLabelClassifier", "a Tensor")


@pytest.mark.parametrize(("key", "part", "said"), [
    (
        "loss", nn.CrossEntropyLoss(),
        "model.loss is of the class torch.nn.modules.loss.CrossEntropyLoss, and no Loss: make one of those in "
        "lightning_clf.losses, or of a subclass of lightning_clf.losses.Loss that returns LossTerms from forward",
    ),
    (
        "head", nn.Linear(32, 3),
        "model.head is of the class torch.nn.modules.linear.Linear, and no Head: make one of those in "
        "lightning_clf.heads, or of a subclass of lightning_clf.heads.Head that defines build and forward",
    ),
])  # fmt: skip
def test_a_part_of_another_library(key, part, said):
    assert complaint(lambda: SingleLabelClassifier("encoder", **{key: part})) == said


class Mean(Loss):
    """A loss that returns what it is told to make of the mean."""

    kinds = frozenset({"single"})

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, scores, targets):
        losses = nn.functional.cross_entropy(scores.float(), targets, reduction="none")
        return {
            "tensor": losses.mean(),
            "tuple": (losses.sum(), torch.tensor(float(len(targets)))),
            "vector": LossTerms(losses, torch.tensor(float(len(targets)))),
            "count": LossTerms(losses.sum(), len(targets)),
        }[self.how]


ADVICE = (
    ": return lightning_clf.losses.LossTerms(total, weight), two scalar tensors, the sum of the loss and what divides "
    "it, such as torch.tensor(float(len(targets)))"
)


@pytest.mark.parametrize(("how", "gave"), [
    ("tensor", "a Tensor"),
    ("tuple", "a tuple"),
    ("vector", "LossTerms of a tensor of shape [2] and a tensor of shape []"),
    ("count", "LossTerms of a tensor of shape [] and an int"),
])  # fmt: skip
def test_a_loss_without_its_terms(how, gave, encoders, tmp_path):
    module = make_module("single", encoders("bert"), loss=Mean(how))
    trainer = make_trainer(tmp_path, num_sanity_val_steps=0)
    message = complaint(lambda: trainer.fit(module, make_data("single", batch_size=2)))
    assert message == f"Mean.forward gave {gave}{ADVICE}"


class OwnLoss(SingleLabelClassifier):
    """A mean in place of what is to be divided."""

    def compute_loss(self, scores, batch):
        return super().compute_loss(scores, batch).mean


def test_a_module_without_its_terms(encoders, tmp_path):
    module = OwnLoss(str(encoders("bert")))
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single")))
    assert message == f"OwnLoss.compute_loss, or its score, gave a Tensor{ADVICE}"


class Odd(Head):
    """Scores of a shape that is none of ours."""

    def __init__(self, last):
        super().__init__()
        self.last = last

    def build(self, hidden_size, labels):
        self.output = nn.Linear(hidden_size, self.last)

    def forward(self, hidden, batch):
        return self.output(hidden[:, 0])


@pytest.mark.parametrize(("kind", "last", "wanted", "meant"), [
    ("single", 2, [2, 3], "one number for each label of each example"),
    ("multi", 5, [2, 2], "one number for each label of each example"),
    ("score", 1, [2], "one number an example"),
    ("tags", 5, [2, 7, 5], "one number for each label of each word"),
])  # fmt: skip
def test_a_head_whose_scores_have_another_shape(kind, last, wanted, meant, encoders, tmp_path):
    module = make_module(kind, encoders("bert"), head=Odd(last))
    trainer = make_trainer(tmp_path, num_sanity_val_steps=0)
    rows = [{"tokens": ["a"] * 7, "tags": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "O", "O"]}] * 2
    data = make_data(kind, rows if kind == "tags" else None, batch_size=2)
    assert complaint(lambda: trainer.fit(module, data)) == (
        f"Odd gave a tensor of shape [2, {last}] for scores, where labels of kind {kind} ask for shape {wanted}, "
        f"{meant}: return that from its forward"
    )


def test_several_tasks_name_the_part_of_one(encoders, tmp_path):
    module = MultiTaskClassifier(str(encoders("bert")), tasks={"single": {"head": Odd(2)}})
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_tasks("single", "score")))
    assert message.startswith("Odd gave a tensor of shape [")
