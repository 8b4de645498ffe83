"""Losses that follow from counts: what they are for, how weighing is put off, and what a checkpoint holds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lightning_clf.counts import ClassCounts
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import (
    BCELoss,
    BinaryFocalLoss,
    CrossEntropyLoss,
    DistributionBalancedLoss,
    FocalLoss,
    GeneralizedCrossEntropyLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    Loss,
    class_weights,
)

SINGLE, MULTI = LabelSpace.of("abc", "single"), LabelSpace.of("abc", "multi")
COUNTS = (9000, 800, 200)


def fitted(loss: Any, labels: LabelSpace = SINGLE, counts: tuple[int, ...] = COUNTS, places: int = 10_000) -> Any:
    """The loss, built and with its counts."""
    loss.build(labels)
    loss.fit_counts(ClassCounts(labels, counts, places))
    return loss


def weights_of(loss: LDAMLoss) -> list[float]:
    """What each class weighs, read off the weight of one word of it."""
    return [loss(torch.zeros(1, 3), torch.tensor([index])).weight.item() for index in range(3)]


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 1.0 - 1e-9, 1.0])
@pytest.mark.parametrize(
    "make", [CrossEntropyLoss, BCELoss, FocalLoss, BinaryFocalLoss, LogitAdjustedLoss, GeneralizedCrossEntropyLoss]
)
def test_the_effective_number_has_its_beta(make: Any, beta: float) -> None:
    raw = [1 / n if beta == 1 else (1 - beta) / (1 - beta**n) for n in COUNTS]
    loss = fitted(make(class_weights="effective", beta=beta))
    assert loss.class_weights.tolist() == pytest.approx([3 * value / sum(raw) for value in raw], rel=1e-6)


@pytest.mark.parametrize("beta", [-0.1, 1.5, math.nan])
@pytest.mark.parametrize(
    "make", [lambda beta: CrossEntropyLoss("effective", beta=beta), lambda beta: LDAMLoss(beta=beta)]
)
def test_a_beta_out_of_bounds(make: Any, beta: float) -> None:
    with pytest.raises(InputError, match=f"beta is {beta:g}: give a number from 0 to 1"):
        make(beta)


@pytest.mark.parametrize("weights", [None, "inverse", [1.0, 2.0, 3.0]])
def test_a_beta_for_weights_that_have_none(weights: Any) -> None:
    with pytest.raises(InputError, match=r"beta is 0\.99, but only class_weights: effective reads it"):
        FocalLoss(class_weights=weights, beta=0.99)


def test_adjustment_of_one_is_the_balanced_softmax() -> None:
    scores, targets = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 2])
    shares = torch.tensor(COUNTS) * scores.exp()  # n_y e^{z_y} / Σ n_j e^{z_j} (Ren et al. 2020, equation 4)
    expected = -(shares / shares.sum(1, keepdim=True)).log()[range(5), targets].sum()
    torch.testing.assert_close(fitted(LogitAdjustedLoss())(scores, targets).total, expected)


def test_logits_that_know_nothing_are_right_for_a_sample_of_train() -> None:
    scores = torch.zeros(50, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0] * 45 + [1] * 4 + [2])
    fitted(LogitAdjustedLoss())(scores, targets).total.backward()
    torch.testing.assert_close(scores.grad.sum(0), torch.zeros(3, dtype=torch.float64))
    plain = scores.detach().clone().requires_grad_()
    fitted(CrossEntropyLoss())(plain, targets).total.backward()
    assert plain.grad.sum(0).abs().max() > 10  # which would go on to prefer the frequent class


def test_margins_go_with_the_fourth_root() -> None:
    loss = fitted(LDAMLoss(max_margin=2.0), counts=(160_000, 10_000, 16))
    margins = loss.margins(loss.label_counts.double()).tolist()
    assert margins == pytest.approx([0.2, 0.4, 2.0])
    lacking = fitted(LDAMLoss(max_margin=2.0), counts=(160_000, 10_000, 0))
    assert lacking.margins(lacking.label_counts.double()).tolist() == pytest.approx([1.0, 2.0, 2.0])
    none = fitted(LDAMLoss(), counts=(0, 0, 0))
    assert none.margins(none.label_counts.float()).tolist() == [0.5] * 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_weights_wait_for_their_share_of_training(dtype: torch.dtype) -> None:
    loss = fitted(LDAMLoss(reweight_from=0.8, beta=0.999))
    effective = pytest.approx(class_weights("effective", COUNTS, 0.999).tolist(), rel=1e-6)
    assert weights_of(loss) == [1, 1, 1]
    for progress, expected in ((0.0, [1, 1, 1]), (0.7999, [1, 1, 1]), (0.8, effective), (0.99, effective)):
        loss.advance(progress)
        assert weights_of(loss) == expected
    loss.eval()
    assert weights_of(loss) == [1, 1, 1]
    loss.train()
    assert weights_of(loss) == effective
    loss.advance(0.5)
    assert weights_of(loss) == [1, 1, 1]


def test_a_run_that_goes_on_weighs_as_if_it_had_not_stopped() -> None:
    whole, resumed = fitted(LDAMLoss()), LDAMLoss()
    for step in range(10):
        whole.advance(step / 10)
    resumed.build(SINGLE)
    resumed.load_state_dict(whole.state_dict())
    resumed.advance(0.9)
    assert weights_of(resumed) == weights_of(whole) != [1, 1, 1]
    never = fitted(LDAMLoss(reweight_from=1.0))
    never.advance(1.0)
    assert weights_of(never) == [1, 1, 1]


def test_a_rare_label_has_its_logit_lowered_in_training() -> None:
    loss = fitted(DistributionBalancedLoss(kappa=0.05), MULTI, (100, 5000, 9900))
    # ν = −κ b̂ with b̂ = −log(1/p − 1): log(99) for p = 0.01
    expected = [0.05 * math.log(99), 0.0, -0.05 * math.log(99)]
    assert loss.bias(torch.float64).tolist() == pytest.approx(expected)
    scores, absent = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True), torch.zeros(1, 3)
    loss(scores, absent).total.backward()
    assert scores.grad[0, 0] < scores.grad[0, 1] < scores.grad[0, 2]  # absences push a rare label down less


def test_a_label_is_weighed_by_the_others_it_occurs_with() -> None:
    loss = fitted(DistributionBalancedLoss(alpha=0.1, beta=10.0, mu=0.9), MULTI, (100, 50, 1), 1000)
    weights = loss.weights(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64))
    ratios = [[1.0, 2.0, 100.0], [1 / 3, 2 / 3, 100 / 3], [math.inf] * 3]
    expected = [[0.1 + 1 / (1 + math.exp(-10 * (r - 0.9))) for r in row] for row in ratios]
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("counts", [(0, 1, 1), (0, 500, 1000), (1000, 1000, 1000)])
@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_labels_in_no_row_or_in_all(counts: tuple[int, ...], answer: float) -> None:
    loss = fitted(DistributionBalancedLoss(), MULTI, counts, max(counts))
    scores = torch.zeros(2, 3, requires_grad=True)
    loss(scores, torch.full((2, 3), answer)).mean.backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad * (1 - 2 * answer) > 0).all()


@pytest.mark.parametrize(
    ("make", "labels"),
    [(LogitAdjustedLoss, SINGLE), (LDAMLoss, SINGLE), (DistributionBalancedLoss, MULTI)],
)
def test_counts_travel_with_the_state_in_any_precision(make: Any, labels: LabelSpace) -> None:
    restored: Loss = make().to(torch.bfloat16)
    restored.build(labels)
    scores = torch.randn(4, 3)
    targets = torch.tensor([0, 1, 2, 0]) if labels is SINGLE else torch.eye(4)[:, :3]
    loss = fitted(make(), labels)
    assert restored(scores, targets).total.item() != loss(scores, targets).total.item()
    restored.load_state_dict({name: value.clone() for name, value in loss.to(torch.bfloat16).state_dict().items()})
    assert restored(scores, targets).total.item() == fitted(make(), labels)(scores, targets).total.item()
