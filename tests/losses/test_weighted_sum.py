"""Several losses at once: what they are divided by, what they are told, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_clf import SingleLabelClassifier
from lightning_clf.batch import IGNORE
from lightning_clf.component import from_spec
from lightning_clf.counts import ClassCounts
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import (
    BCELoss,
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    Loss,
    MSELoss,
    WeightedSum,
)
from tests.training import complaint, make_data, make_module, make_trainer

LABELS = LabelSpace.of("abc", "single")


def test_weighted_parts_are_divided_by_places() -> None:
    loss = WeightedSum([CrossEntropyLoss([1, 5, 0]), FocalLoss(class_weights=[2, 2, 2])], [2.0, 0.5])
    loss.build(LABELS)
    scores, targets = torch.randn(2, 3, 3, dtype=torch.float64), torch.tensor([[0, 1, 2], [1, IGNORE, IGNORE]])
    terms = loss(scores, targets)
    assert terms.weight.item() == 4
    totals = [part(scores, targets).total for part in loss.parts]
    torch.testing.assert_close(terms.total, 2 * totals[0] + totals[1] / 2)


def test_a_score_may_be_the_number_that_ignores() -> None:
    loss = WeightedSum([MSELoss()], [3.0])
    loss.build(LabelSpace.score(-200, 0))
    terms = loss(torch.tensor([-98.0, -50.0]), torch.tensor([float(IGNORE), -51.0]))
    assert (terms.total.item(), terms.weight.item()) == (15, 2)


def test_parts_are_told_what_the_sum_is_told() -> None:
    loss = WeightedSum([LogitAdjustedLoss(), WeightedSum([LDAMLoss(reweight_from=0.5)], [1.0])], [1.0, 1.0])
    loss.build(LABELS)
    loss.fit_counts(ClassCounts(LABELS, (70, 20, 10), 100))
    adjusted, inner = loss.parts
    margins = inner.parts[0]
    assert adjusted.label_counts.tolist() == margins.label_counts.tolist() == [70, 20, 10]
    word = torch.zeros(1, 3), torch.tensor([2])
    assert margins(*word).weight.item() == 1
    loss.advance(0.5)
    assert margins(*word).weight.item() > 1


def test_the_kinds_are_those_of_all_parts() -> None:
    class OneOfMany(CrossEntropyLoss):
        kinds = frozenset({"single"})

    assert WeightedSum([CrossEntropyLoss(), DiceLoss()], [1, 1]).kinds == {"single", "tags"}
    assert WeightedSum([CrossEntropyLoss(), OneOfMany()], [1, 1]).kinds == {"single"}
    loss = WeightedSum([BCELoss()], [1])
    assert complaint(lambda: SingleLabelClassifier("encoder", loss=loss)).startswith(
        "model.loss WeightedSum fits labels of kind multi, but SingleLabelClassifier has kind single"
    )


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        ([], [], "WeightedSum has no losses: give it at least one"),
        ([DiceLoss()], [1, 2], "WeightedSum has 2 weights for 1 losses: give one for each"),
        ([DiceLoss()], [-1], "WeightedSum's weight is -1: give 0 or more"),
        ([DiceLoss(), DiceLoss()], [0, 0], "WeightedSum's weights are all 0"),
        (
            [CrossEntropyLoss(), BCELoss()],
            [1, 1],
            r"fit no kind of label together \(CrossEntropyLoss single, tags; BCELoss multi\): leave one out",
        ),
    ],
)
def test_what_makes_no_sum(losses: list[Loss], weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WeightedSum(losses, weights)


def test_a_part_of_another_library() -> None:
    with pytest.raises(
        InputError, match=r"^one of WeightedSum's losses is of the class torch\S+\.MSELoss, and no Loss"
    ):
        WeightedSum([torch.nn.MSELoss()], [1.0])  # type: ignore[list-item]


def test_it_is_made_again_from_a_checkpoint(encoders: Any, tmp_path: Any) -> None:
    loss = WeightedSum([LogitAdjustedLoss(0.5), LDAMLoss(reweight_from=0.0)], [1.0, 0.25])
    assert from_spec(loss.spec(), Loss).spec() == loss.spec()
    module = make_module("single", encoders("bert"), loss=loss)
    trainer = make_trainer(tmp_path)
    trainer.fit(module, make_data("single"))
    trainer.save_checkpoint(tmp_path / "sum.ckpt")
    restored = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "sum.ckpt"))
    assert [part.label_counts.tolist() for part in restored.loss.parts] == [[3, 3, 2], [3, 3, 2]]
    batch = next(iter(trainer.datamodule.val_dataloader()))
    assert torch.equal(restored.eval().score(batch)[1].total, module.eval().score(batch)[1].total)
