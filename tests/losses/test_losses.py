"""Each loss against its formula in float64, PyTorch's own mean, and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from lightning_clf.batch import IGNORE
from lightning_clf.counts import ClassCounts
from lightning_clf.labels import LabelSpace
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
    Loss,
    LossTerms,
    MSELoss,
    WeightedSum,
)
from tests.losses import reference

SINGLE, MULTI = LabelSpace.of("abcd", "single"), LabelSpace.of("abcd", "multi")
WEIGHTS = [0.5, 2.0, 0.0, 1.25]
POSITIVE = [1.0, 3.0, 0.5, 7.0]
ONES = [1.0] * 4
COUNTS = (160, 10, 0, 30)  # of 200 places, where one label of each is right
MARGINS = [0.25, 0.5, 0.5, 0.5 * 3**-0.25]  # (10/160)^¼ is ½
EFFECTIVE = [3 * value / (1 / 1.6 + 10 + 10 / 3) for value in (1 / 1.6, 10, 0, 10 / 3)]  # β = 1 weighs by 1/n
KEYS = {"alpha": 0.3, "beta": 3.0, "mu": 0.2, "scale": 5.0, "kappa": 0.5, "gamma": 0.0}

Case = tuple[Loss, Callable[[Any, Any], reference.Terms]]
ONE_OF_MANY: dict[str, Case] = {
    "plain": (CrossEntropyLoss(), lambda s, t: reference.cross_entropy(s, t, ONES)),
    "weights": (CrossEntropyLoss(WEIGHTS), lambda s, t: reference.cross_entropy(s, t, WEIGHTS)),
    "smoothing": (CrossEntropyLoss(None, 0.1), lambda s, t: reference.cross_entropy(s, t, ONES, 0.1)),
    "both": (CrossEntropyLoss(WEIGHTS, 0.3), lambda s, t: reference.cross_entropy(s, t, WEIGHTS, 0.3)),
    "focal": (FocalLoss(), lambda s, t: reference.focal(s, t, ONES, 2.0)),
    "focal, weights": (FocalLoss(0.5, WEIGHTS), lambda s, t: reference.focal(s, t, WEIGHTS, 0.5)),
    "focal, γ = 0": (FocalLoss(0.0, WEIGHTS), lambda s, t: reference.cross_entropy(s, t, WEIGHTS)),
    "focal, smoothing": (FocalLoss(2.0, WEIGHTS, 0.2), lambda s, t: reference.focal(s, t, WEIGHTS, 2.0, 0.2)),
    "adjusted": (LogitAdjustedLoss(), lambda s, t: reference.logit_adjusted(s, t, ONES, COUNTS, 1.0)),
    "adjusted, all": (
        LogitAdjustedLoss(1.5, WEIGHTS, 0.1),
        lambda s, t: reference.logit_adjusted(s, t, WEIGHTS, COUNTS, 1.5, 0.1),
    ),
    "adjusted, τ = 0": (LogitAdjustedLoss(0.0, WEIGHTS), lambda s, t: reference.cross_entropy(s, t, WEIGHTS)),
    "margins": (LDAMLoss(), lambda s, t: reference.ldam(s, t, MARGINS, 1.0, ONES)),
    "margins, weights": (
        LDAMLoss(2.0, 3.0, 0.0, 1.0),
        lambda s, t: reference.ldam(s, t, [4 * margin for margin in MARGINS], 3.0, EFFECTIVE),
    ),
    "margins, smoothing": (
        LDAMLoss(2.0, 3.0, 0.0, 1.0, 0.2),
        lambda s, t: reference.ldam(s, t, [4 * margin for margin in MARGINS], 3.0, EFFECTIVE, 0.2),
    ),
    "no margins": (LDAMLoss(0.0), lambda s, t: reference.cross_entropy(s, t, ONES)),
    "dice": (DiceLoss(), lambda s, t: reference.dice(s, t, 0.01, 1.0)),
    "dice, α = 0": (DiceLoss(0.0, 0.5), lambda s, t: reference.dice(s, t, 0.0, 0.5)),
    "dice, α = 1": (DiceLoss(1.0, 0.1), lambda s, t: reference.dice(s, t, 1.0, 0.1)),
    "generalized": (GeneralizedCrossEntropyLoss(), lambda s, t: reference.generalized(s, t, ONES, 0.7)),
    "generalized, weights": (
        GeneralizedCrossEntropyLoss(0.2, WEIGHTS),
        lambda s, t: reference.generalized(s, t, WEIGHTS, 0.2),
    ),
    "absolute error": (GeneralizedCrossEntropyLoss(1.0), lambda s, t: reference.generalized(s, t, ONES, 1.0)),
    "generalized, q = 0": (GeneralizedCrossEntropyLoss(0.0), lambda s, t: reference.cross_entropy(s, t, ONES)),
    "generalized, q → 0": (GeneralizedCrossEntropyLoss(1e-20), lambda s, t: reference.cross_entropy(s, t, ONES)),
    "sum": (
        WeightedSum([CrossEntropyLoss(WEIGHTS), DiceLoss(), FocalLoss()], [0.25, 2, 0]),
        lambda s, t: (
            reference.cross_entropy(s, t, WEIGHTS)[0] / 4 + 2 * reference.dice(s, t, 0.01, 1.0)[0],
            float(sum(target != IGNORE for target in t)),
        ),
    ),
}
ANY_OF_MANY: dict[str, Case] = {
    "plain": (BCELoss(), lambda s, t: reference.binary(s, t, ONES)),
    "weights": (BCELoss(WEIGHTS), lambda s, t: reference.binary(s, t, WEIGHTS)),
    "positive": (BCELoss(None, POSITIVE), lambda s, t: reference.binary(s, t, ONES, POSITIVE)),
    "one positive": (BCELoss(None, 3), lambda s, t: reference.binary(s, t, ONES, [3.0] * 4)),
    "both": (BCELoss(WEIGHTS, POSITIVE), lambda s, t: reference.binary(s, t, WEIGHTS, POSITIVE)),
    "focal": (BinaryFocalLoss(), lambda s, t: reference.binary(s, t, ONES, None, 2.0)),
    "focal, α": (BinaryFocalLoss(2.0, 0.25), lambda s, t: reference.binary(s, t, ONES, None, 2.0, 0.25)),
    "focal, all": (BinaryFocalLoss(0.5, 0.9, WEIGHTS), lambda s, t: reference.binary(s, t, WEIGHTS, None, 0.5, 0.9)),
    "focal, smoothing": (
        BinaryFocalLoss(0.5, 0.9, WEIGHTS, 0.2),
        lambda s, t: reference.evened(lambda a: reference.binary(s, a, WEIGHTS, None, 0.5, 0.9), t, 0.2),
    ),
    "asymmetric, smoothing": (
        AsymmetricLoss(2.0, 1.0, 0.1, 0.2),
        lambda s, t: reference.evened(lambda a: reference.asymmetric(s, a, 2, 1, 0.1), t, 0.2),
    ),
    "balanced, smoothing": (
        DistributionBalancedLoss(0.3, 3.0, 0.2, 5.0, 0.5, 2.0, 0.2),
        lambda s, t: reference.distribution_balanced(s, t, COUNTS, 200, **{**KEYS, "gamma": 2.0}, smoothing=0.2),
    ),
    "asymmetric": (AsymmetricLoss(), lambda s, t: reference.asymmetric(s, t, 4, 1, 0.05)),
    "no margin": (AsymmetricLoss(2.0, 0.0, 0.0), lambda s, t: reference.asymmetric(s, t, 2, 0, 0)),
    "wide margin": (AsymmetricLoss(1.0, 2.0, 0.4), lambda s, t: reference.asymmetric(s, t, 1, 2, 0.4)),
    "asymmetric, γ = 0": (AsymmetricLoss(0.0, 0.0, 0.0), lambda s, t: reference.binary(s, t, ONES)),
    "smoothing": (BCELoss(None, 3.0, 0.1), lambda s, t: reference.smoothed(s, t, 3.0, 0.1)),
    "balanced": (DistributionBalancedLoss(), lambda s, t: reference.distribution_balanced(s, t, COUNTS, 200)),
    "balanced, all": (
        DistributionBalancedLoss(0.3, 3.0, 0.2, 5.0, 0.5, 0.0),
        lambda s, t: reference.distribution_balanced(s, t, COUNTS, 200, **KEYS),
    ),
    "balanced, nothing": (
        DistributionBalancedLoss(0.5, 0.0, 0.9, 1.0, 0.0, 0.0),  # β = 0 makes every weight ½ and α
        lambda s, t: reference.binary(s, t, ONES),
    ),
    "sum": (
        WeightedSum([BCELoss(WEIGHTS), AsymmetricLoss()], [1, 0.5]),
        lambda s, t: (
            reference.binary(s, t, WEIGHTS)[0] + reference.asymmetric(s, t, 4, 1, 0.05)[0] / 2,
            4.0 * len(s),
        ),
    ),
}
one_of_many = pytest.mark.parametrize(("loss", "expected"), ONE_OF_MANY.values(), ids=ONE_OF_MANY)
any_of_many = pytest.mark.parametrize(("loss", "expected"), ANY_OF_MANY.values(), ids=ANY_OF_MANY)


@pytest.fixture(autouse=True)
def _built() -> None:
    for labels, cases in ((SINGLE, ONE_OF_MANY), (MULTI, ANY_OF_MANY)):
        for loss, _ in cases.values():
            loss.float().build(labels)
            loss.fit_counts(ClassCounts(labels, COUNTS, 200))
            loss.advance(0.0)


def single(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `[3,5,4]` as for tags, and targets `[3,5]`, some of which are none."""
    generator = torch.Generator().manual_seed(0)
    scores = (3 * torch.randn(3, 5, 4, generator=generator)).to(dtype)
    targets = torch.randint(0, 4, (3, 5), generator=generator)
    targets[1, 2:] = IGNORE
    return scores, targets


def multi(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `[6,4]` and answers `[6,4]`."""
    generator = torch.Generator().manual_seed(0)
    scores = (3 * torch.randn(6, 4, generator=generator)).to(dtype)
    return scores, (torch.rand(6, 4, generator=generator) < 0.3).float()


def check(terms: LossTerms, expected: reference.Terms, tolerance: float) -> None:
    total, weight = expected
    assert terms.total.item() == pytest.approx(total, rel=tolerance)
    assert terms.weight.item() == pytest.approx(weight, rel=1e-6)
    assert terms.mean.item() == pytest.approx(total / weight, rel=max(tolerance, 1e-6))
    assert terms.total.shape == terms.weight.shape == ()


@one_of_many
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_one_of_many(loss: Loss, expected: Any, dtype: torch.dtype, tolerance: float) -> None:
    scores, targets = single(dtype)
    check(loss(scores, targets), expected(scores.flatten(0, 1).tolist(), targets.flatten().tolist()), tolerance)
    check(loss(scores[0], targets[0]), expected(scores[0].tolist(), targets[0].tolist()), tolerance)


@any_of_many
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_any_of_many(loss: Loss, expected: Any, dtype: torch.dtype, tolerance: float) -> None:
    scores, targets = multi(dtype)
    check(loss(scores, targets), expected(scores.tolist(), targets.tolist()), tolerance)
    check(loss(scores, targets.long()), expected(scores.tolist(), targets.tolist()), tolerance)


@one_of_many
def test_batches_of_words_add_up(loss: Loss, expected: Any) -> None:
    scores, targets = single()
    check_sum(loss(scores, targets), [loss(scores[:1], targets[:1]), loss(scores[1:], targets[1:])])


@any_of_many
def test_batches_of_examples_add_up(loss: Loss, expected: Any) -> None:
    scores, targets = multi()
    check_sum(loss(scores, targets), [loss(scores[:1], targets[:1]), loss(scores[1:], targets[1:])])


def check_sum(whole: LossTerms, parts: list[LossTerms]) -> None:
    assert sum(part.total.item() for part in parts) == pytest.approx(whole.total.item(), rel=1e-12)
    assert sum(part.weight.item() for part in parts) == pytest.approx(whole.weight.item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_mean_of_cross_entropy_is_that_of_pytorch(smoothing: float, weights: list[float] | None) -> None:
    loss = CrossEntropyLoss(weights, smoothing)
    loss.build(SINGLE)
    scores, targets = single()
    class_weights = torch.tensor(weights, dtype=torch.float64) if weights else None
    expected = functional.cross_entropy(scores.mT, targets, class_weights, label_smoothing=smoothing)
    torch.testing.assert_close(loss(scores, targets).mean, expected)


def test_the_mean_of_binary_cross_entropy_is_that_of_pytorch() -> None:
    loss = BCELoss(WEIGHTS, POSITIVE)
    loss.build(MULTI)
    scores, targets = multi()
    weights, positive = torch.tensor(WEIGHTS).double(), torch.tensor(POSITIVE).double()
    expected = functional.binary_cross_entropy_with_logits(scores, targets.double(), weights, pos_weight=positive)
    torch.testing.assert_close(loss(scores, targets).mean, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_squared_error(dtype: torch.dtype) -> None:
    scores, targets = torch.tensor([1.5, -2.0, 0.25], dtype=dtype), torch.tensor([1.0, 2.0, 0.25])
    terms = MSELoss()(scores, targets)
    assert (terms.total.item(), terms.weight.item(), terms.mean.item()) == (16.25, 3, pytest.approx(16.25 / 3))


ROW = [1.5, -2.0, 0.25, 0.5]
FAR = [[1e4, 0.0, -1e4, 3.0], [-1e4, -2e4, 1e4, 5e3], [2.0, 1e4, -1e4, -5e3]]
EDGES_OF_ONE = {
    "nothing to learn from": ([ROW, ROW[::-1]], [IGNORE, IGNORE]),
    "what train lacks": ([ROW, ROW[::-1]], [2, 2]),
    "a batch of one": ([ROW], [1]),
    "far and right": (FAR, [0, 2, 1]),
    "far and wrong": (FAR, [1, 3, 3]),
}
EDGES_OF_ANY = {
    "no label present": ([ROW, ROW[::-1]], [[0] * 4] * 2),
    "what train lacks": ([ROW, ROW[::-1]], [[0, 0, 1, 0]] * 2),
    "a batch of one": ([ROW], [[0, 1, 0, 0]]),
    "far and right": (FAR, [[1, 0, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0]]),
    "far and wrong": (FAR, [[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]]),
}


def check_edge(loss: Loss, expected: Any, rows: Any, answers: Any) -> None:
    """Total, mean and gradient, in float64 and of what bfloat16 makes of the scores."""
    targets, is_far = torch.tensor(answers), rows is FAR
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.bfloat16, 1e-5)):
        scores = torch.tensor(rows, dtype=dtype).requires_grad_()
        total, weight = expected(scores.double().tolist(), answers)
        terms = loss(scores, targets)
        assert terms.total.item() == pytest.approx(total, rel=tolerance, abs=1e-9)
        assert terms.weight.item() == pytest.approx(weight)
        assert terms.mean.item() == pytest.approx(terms.total.item() / weight if weight else 0.0)
        terms.total.backward()
        exact = scores.detach().double().requires_grad_()
        assert torch.autograd.gradcheck(lambda s: loss(s, targets).total, exact, eps=1e-2 if is_far else 1e-6)
        loss(exact, targets).total.backward()
        torch.testing.assert_close(scores.grad.double(), exact.grad, rtol=2**-7, atol=1e-4)


@one_of_many
@pytest.mark.parametrize(("rows", "answers"), EDGES_OF_ONE.values(), ids=EDGES_OF_ONE)
def test_edges_of_one_of_many(loss: Loss, expected: Any, rows: Any, answers: Any) -> None:
    check_edge(loss, expected, rows, answers)


@any_of_many
@pytest.mark.parametrize(("rows", "answers"), EDGES_OF_ANY.values(), ids=EDGES_OF_ANY)
def test_edges_of_any_of_many(loss: Loss, expected: Any, rows: Any, answers: Any) -> None:
    check_edge(loss, expected, rows, answers)


@one_of_many
def test_gradients_of_one_of_many(loss: Loss, expected: Any) -> None:
    scores, targets = single()
    assert torch.autograd.gradcheck(lambda s: loss(s, targets).total, scores.requires_grad_())


@any_of_many
def test_gradients_of_any_of_many(loss: Loss, expected: Any) -> None:
    scores, targets = multi()
    assert torch.autograd.gradcheck(lambda s: loss(s, targets).total, scores.requires_grad_())


def test_gradients_of_squared_error() -> None:
    scores = torch.tensor([1.5, -2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: MSELoss()(s, torch.tensor([1.0, 2.0])).total, scores)
