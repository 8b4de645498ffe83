"""Losses at the edges: nothing to learn from, extreme logits, low precision."""

from __future__ import annotations

import pytest
import torch

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

SINGLE, MULTI = LabelSpace.of("abc", "single"), LabelSpace.of("abc", "multi")
UNBOUNDED = [
    CrossEntropyLoss(),
    CrossEntropyLoss([1, 2, 0], 0.1),
    FocalLoss(),
    FocalLoss(0.5, [1, 2, 0]),
    LogitAdjustedLoss(),
    LogitAdjustedLoss(2.0, [1, 2, 0], 0.1),
    LDAMLoss(),
    LDAMLoss(3.0, 30.0, 0.0),
    GeneralizedCrossEntropyLoss(0.0),
    WeightedSum([CrossEntropyLoss([1, 2, 0]), DiceLoss()], [1, 0.5]),
]
# what is hopelessly wrong is not learned from, on purpose
BOUNDED = [
    DiceLoss(),
    DiceLoss(0.0),
    DiceLoss(1.0, 0.1),
    GeneralizedCrossEntropyLoss(),
    GeneralizedCrossEntropyLoss(1.0),
]
one_of_many = pytest.mark.parametrize("loss", UNBOUNDED, ids=str)
bounded = pytest.mark.parametrize("loss", BOUNDED, ids=str)
any_of_one = pytest.mark.parametrize("loss", [*UNBOUNDED, *BOUNDED], ids=str)
any_of_many = pytest.mark.parametrize(
    "loss",
    [
        BCELoss([1, 2, 0], 5.0),
        BinaryFocalLoss(),
        BinaryFocalLoss(0.5, 0.25),
        AsymmetricLoss(),
        AsymmetricLoss(0.5, 0.5, 0.0),
        DistributionBalancedLoss(),
        DistributionBalancedLoss(gamma=0.5, mu=0.2, negative_scale=5.0),
        DistributionBalancedLoss(gamma=0.0, beta=0.0),
        WeightedSum([BCELoss(), DistributionBalancedLoss()], [0.5, 1.0]),
    ],
    ids=str,
)


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


def learn(
    loss: Loss, labels: LabelSpace, scores: torch.Tensor, targets: torch.Tensor
) -> tuple[LossTerms, torch.Tensor]:
    """The terms and the gradient of the mean, all of it finite, where train has no c."""
    loss.build(labels)
    loss.fit_counts(ClassCounts(labels, (70, 30, 0), 100))
    loss.advance(0.5)
    scores = scores.clone().requires_grad_()
    terms = loss(scores, targets)
    terms.mean.backward()
    assert torch.isfinite(terms.total)
    assert torch.isfinite(scores.grad).all()
    return terms, scores.grad


@any_of_one
def test_a_batch_of_which_all_is_ignored(loss: Loss) -> None:
    terms, gradient = learn(loss, SINGLE, torch.randn(2, 5, 3), torch.full((2, 5), IGNORE))
    assert (terms.total.item(), terms.weight.item(), terms.mean.item()) == (0, 0, 0)
    assert not gradient.any()


def test_a_batch_of_classes_that_weigh_nothing() -> None:
    terms, gradient = learn(CrossEntropyLoss([1, 2, 0]), SINGLE, torch.randn(2, 3), torch.tensor([2, 2]))
    assert (terms.weight.item(), terms.mean.item()) == (0, 0)
    assert not gradient.any()


@any_of_one
def test_ignored_places_have_no_gradient(loss: Loss) -> None:
    _, gradient = learn(loss, SINGLE, torch.randn(4, 3), torch.tensor([0, IGNORE, 1, IGNORE]))
    assert gradient.abs().sum(1).gt(0).tolist() == [True, False, True, False]


@any_of_many
@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_batch_of_one_with_one_answer_only(loss: Loss, answer: float) -> None:
    terms, gradient = learn(loss, MULTI, torch.zeros(1, 3), torch.full((1, 3), answer))
    assert terms.weight.item() == 3
    assert terms.total > 0
    # towards the answer
    assert (gradient * (1 - 2 * answer) >= 0).all()
    assert gradient.any()


@one_of_many
def test_extreme_logits_of_one_class(loss: Loss) -> None:
    scores = torch.tensor([[1e4, 0, -1e4], [1e4, -1e4, -1e4], [-1e4, -1e4, 1e4]])
    terms, gradient = learn(loss, SINGLE, scores, torch.tensor([1, 1, 0]))
    assert terms.total > 1e4
    assert all(gradient[place] < 0 for place in ((0, 1), (1, 1), (2, 0)))  # what is hopelessly wrong still learns
    certain, _ = learn(FocalLoss(), SINGLE, scores, torch.tensor([0, 0, 2]))
    assert certain.total.item() == 0


@bounded
def test_extreme_logits_where_the_loss_has_a_bound(loss: Loss) -> None:
    scores = torch.tensor([[1e4, 0, -1e4], [1e4, -1e4, -1e4], [-1e4, -1e4, 1e4]])
    wrong, _ = learn(loss, SINGLE, scores, torch.tensor([1, 1, 0]))
    assert 0 < wrong.total.item() <= 3 * 3  # of three words, each class at most 1, and 1/q below 2
    right, still = learn(loss, SINGLE, scores, torch.tensor([0, 0, 2]))
    if not (isinstance(loss, DiceLoss) and loss.alpha):  # which asks for less than certainty
        assert right.total.item() == pytest.approx(0, abs=1e-6)
        assert not still.any()


@pytest.mark.parametrize("lead", [5.0, 16.0, 17.0, 40.0, 80.0])
def test_dice_knows_how_sure_a_word_is_where_p_is_1(lead: float) -> None:
    scores, targets = torch.tensor([[lead, 0.0, 1.0]]), torch.tensor([0])
    terms, gradient = learn(DiceLoss(), SINGLE, scores, targets)
    assert terms.total.item() == pytest.approx(reference.dice(scores.tolist(), [0], 0.01, 1.0)[0], rel=1e-5)
    exact = scores.double().requires_grad_()
    DiceLoss()(exact, targets).total.backward()
    torch.testing.assert_close(gradient.double(), exact.grad, rtol=1e-3, atol=1e-6)


@any_of_one
def test_a_class_that_train_lacks(loss: Loss) -> None:
    scores = torch.tensor([[0.5, -0.5, 0.1]])
    terms, gradient = learn(loss, SINGLE, scores, torch.tensor([2]))
    if terms.weight == 0 and getattr(loss, "label_smoothing", 0):
        # what is spread to the others has no weight to be divided by
        assert terms.mean.item() == 0
        assert not gradient.any()
        return
    assert (gradient[0, 2] < 0) == (terms.total > 0)
    if not isinstance(loss, WeightedSum):  # which divides by places, whatever they weigh
        assert (terms.weight > 0) == (terms.total > 0)


@any_of_many
def test_extreme_logits_of_labels(loss: Loss) -> None:
    scores = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, -1e4]])
    right, still = learn(loss, MULTI, scores, torch.tensor([[1, 0, 1], [0, 1, 0]]))
    assert right.total.item() == 0
    assert not still.any()
    wrong, _ = learn(loss, MULTI, scores, torch.tensor([[0, 1, 0], [1, 0, 1]]))
    assert wrong.total.item() > 1e4


@any_of_many
def test_a_presence_given_no_chance_still_learns(loss: Loss) -> None:
    _, gradient = learn(loss, MULTI, torch.full((1, 3), -100.0), torch.tensor([[1.0, 1.0, 0.0]]))
    assert (gradient[0, :2] < 0).all()


CLASSES = torch.arange(512) % 3
ANSWERS = (torch.arange(512 * 3) % 5 < 2).float().view(512, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize(
    ("loss", "labels", "targets"),
    [
        (CrossEntropyLoss([1, 2, 0.5], 0.1), SINGLE, CLASSES),
        (FocalLoss(class_weights=[1, 2, 0.5]), SINGLE, CLASSES),
        (BCELoss([1, 2, 0.5], 4.0), MULTI, ANSWERS),
        (BinaryFocalLoss(alpha=0.25, class_weights=[1, 2, 0.5]), MULTI, ANSWERS),
        (AsymmetricLoss(), MULTI, ANSWERS),
        (MSELoss(), LabelSpace.score(0, 5), ANSWERS[:, 0] * 4),
        (LogitAdjustedLoss(), SINGLE, CLASSES),
        (LDAMLoss(2.0), SINGLE, CLASSES),
        (DiceLoss(), SINGLE, CLASSES),
        (GeneralizedCrossEntropyLoss(), SINGLE, CLASSES),
        (GeneralizedCrossEntropyLoss(1e-6), SINGLE, CLASSES),
        (WeightedSum([LogitAdjustedLoss(), DiceLoss()], [0.1, 0.7]), SINGLE, CLASSES),
        (BCELoss(label_smoothing=0.1), MULTI, ANSWERS),
        (DistributionBalancedLoss(), MULTI, ANSWERS),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Loss) else "",
)
def test_low_precision_is_summed_in_float32(
    loss: Loss, labels: LabelSpace, targets: torch.Tensor, converted: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(512, *([] if labels.kind == "score" else [3]), generator=generator).to(dtype)
    loss.float().build(labels)
    # no number of them, nor of their shares, is one that bfloat16 has
    loss.fit_counts(ClassCounts(labels, (100_001,) if labels.kind == "score" else (70_001, 30_003, 777), 100_781))
    loss.advance(0.5)
    exact = loss(scores.double(), targets)
    if converted:
        loss = loss.to(dtype)  # as `precision: bf16-true` does; these weights are exact in either
    terms = loss(scores, targets)
    assert terms.total.dtype == terms.weight.dtype == torch.float32
    assert terms.total.item() == pytest.approx(exact.total.item(), rel=1e-5)
    assert terms.weight.item() == exact.weight.item()
