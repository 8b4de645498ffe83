"""Losses on embeddings, against formulas in float64 and the packages they are known from."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_clf.losses import (
    CosineSimilarityLoss,
    MarginContrastiveLoss,
    SupervisedContrastiveLoss,
    TripletLoss,
)
from tests.training import complaint

ROWS, PAIRS = 7, torch.tensor([[0, 1], [2, 3], [4, 5], [6, 0], [1, 4], [0, 2]])


@pytest.fixture
def embeddings() -> torch.Tensor:
    return torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(0))


CLASSES = torch.tensor([0, 1, 0, 1, 2, 1, 3])
MANY = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]]).float()


def cosines(embeddings: torch.Tensor) -> list[list[float]]:
    rows = embeddings.double().tolist()
    norm = [math.sqrt(sum(x * x for x in row)) for row in rows]
    return [
        [sum(a * b for a, b in zip(one, two, strict=True)) / norm[i] / norm[j] for j, two in enumerate(rows)]
        for i, one in enumerate(rows)
    ]


def same(targets: torch.Tensor) -> list[list[bool]]:
    if targets.ndim == 1:
        return [[a == b for b in targets.tolist()] for a in targets.tolist()]
    return [[any(x and y for x, y in zip(a, b, strict=True)) for b in targets.tolist()] for a in targets.tolist()]


def by_hand(loss, embeddings, targets) -> tuple[float, float]:
    """Total and weight, written plainly."""
    cos, alike = cosines(embeddings), same(targets)
    places = range(len(cos))
    if isinstance(loss, CosineSimilarityLoss):
        return sum((cos[a][b] - alike[a][b]) ** 2 for a, b in PAIRS.tolist()), len(PAIRS)
    if isinstance(loss, MarginContrastiveLoss):
        parts = [
            0.5 * ((1 - cos[a][b]) ** 2 if alike[a][b] else max(0.0, loss.margin - 1 + cos[a][b]) ** 2)
            for a, b in PAIRS.tolist()
        ]
        return sum(parts), len(PAIRS)
    if isinstance(loss, TripletLoss):
        parts = [
            max(0.0, cos[i][n] - cos[i][p] + loss.margin)
            for i in places
            for p in places
            for n in places
            if i != p and alike[i][p] and not alike[i][n]
        ]
        # a text without labels is not alike to itself, and then no loss compares it with itself
        return sum(parts), sum(part > 0 for part in parts)
    parts = []
    for i in places:
        positives = [p for p in places if p != i and alike[i][p]]
        if positives:
            below = sum(math.exp(cos[i][a] / loss.temperature) for a in places if a != i)
            logs = [math.log(math.exp(cos[i][p] / loss.temperature) / below) for p in positives]
            parts.append(-sum(logs) / len(logs))
    return sum(parts), len(parts)


@pytest.mark.parametrize("targets", [CLASSES, MANY], ids=["single", "multi"])
@pytest.mark.parametrize(
    "loss", [CosineSimilarityLoss(), MarginContrastiveLoss(0.7), SupervisedContrastiveLoss(0.3), TripletLoss(0.4)]
)
def test_formula(loss, targets, embeddings):
    terms = loss(embeddings, targets, PAIRS)
    total, weight = by_hand(loss, embeddings, targets)
    assert terms.total.item() == pytest.approx(total, rel=1e-5)
    assert terms.weight.item() == weight


@pytest.mark.parametrize(
    "loss", [CosineSimilarityLoss(), MarginContrastiveLoss(), SupervisedContrastiveLoss(), TripletLoss()]
)
def test_half_precision_is_compared_in_full_and_moves_what_it_is_of(loss, embeddings):
    low = embeddings.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        terms = loss(low, CLASSES, PAIRS)
    full = loss(low.detach().float(), CLASSES, PAIRS)
    assert terms.total.dtype == torch.float32
    torch.testing.assert_close(terms, full)
    terms.mean.backward()
    assert low.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", [SupervisedContrastiveLoss(), TripletLoss()])
def test_a_batch_in_which_nothing_is_alike_weighs_nothing(loss, embeddings):
    terms = loss(embeddings.requires_grad_(), torch.arange(ROWS), PAIRS)
    assert terms == (0, 0)
    terms.total.backward()
    assert not embeddings.grad.any()


def test_against_the_packages(embeddings):
    losses = pytest.importorskip("sentence_transformers.losses")
    setfit = pytest.importorskip("setfit.losses")
    from sentence_transformers.losses import BatchHardTripletLossDistanceFunction as Distance

    model = torch.nn.Identity()
    first, second = (embeddings[PAIRS[:, side]] for side in (0, 1))
    wanted = (CLASSES[PAIRS[:, 0]] == CLASSES[PAIRS[:, 1]]).float()
    ours = {loss: loss(embeddings, CLASSES, PAIRS).mean for loss in (CosineSimilarityLoss(), MarginContrastiveLoss())}
    theirs = [losses.CosineSimilarityLoss(model), losses.ContrastiveLoss(model)]
    for mine, other in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, other.compute_loss_from_embeddings([first, second], wanted))
    classes = torch.tensor([0, 1, 0, 1, 2, 1, 2])  # theirs has no mean where one is alone
    triplets = losses.BatchAllTripletLoss(model, distance_metric=Distance.cosine_distance, margin=0.25)
    mine = TripletLoss()(embeddings, classes, PAIRS).mean
    torch.testing.assert_close(mine, triplets.batch_all_triplet_loss(classes, embeddings))
    contrastive = setfit.SupConLoss(lambda features: {"sentence_embedding": features})
    mine = SupervisedContrastiveLoss()(embeddings, classes, PAIRS).mean
    torch.testing.assert_close(mine, contrastive([embeddings], classes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MarginContrastiveLoss(2.5), "margin is 2.5: give a number above 0 and at most 2"),
        (lambda: TripletLoss(0.0), "margin is 0: give a number above 0"),
        (lambda: SupervisedContrastiveLoss(-1.0), "temperature is -1: give a number above 0"),
    ],
)
def test_refusals(make, message):
    assert complaint(make) == message
