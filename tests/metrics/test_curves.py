"""Histograms of probabilities and scores give what scikit-learn, torchmetrics and numpy give of the data themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_score, recall_score
from torchmetrics.functional.classification import binary_average_precision

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import CurveCounts, RankingScores, ScoreCounts
from lightning_clf.metrics.curves import float32_edges, place

SINGLE = LabelSpace.of("abc", "single")
MULTI = LabelSpace.of("abc", "multi")
TAGS = LabelSpace.tags(["A", "B", "C"], "none")


def data(labels: LabelSpace, rows: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities better than chance, some of them at the very thresholds, and what is right."""
    generator = torch.Generator().manual_seed(3)
    targets = torch.randint(0, 3, (rows,), generator=generator)
    gold = targets[:, None] == torch.arange(3)
    logits = torch.randn(rows, 3, generator=generator) + 1.5 * gold
    if labels.kind != "multi":
        probabilities = logits.softmax(1)
        probabilities[:3] = torch.tensor([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [0.3, 0.4, 0.3]])
        return probabilities, targets
    probabilities = logits.sigmoid()
    probabilities[:3] = torch.tensor([[0.25, 0.5, 0.75], [0.0, 1.0, 1.0], [1 / 15, 2 / 15, 0.2]])
    return probabilities, (gold | (torch.rand(rows, 3, generator=generator) < 0.2)).float()


def counted(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    assert metric.compute() == {}
    return metric.summary


@pytest.mark.parametrize("labels", [SINGLE, MULTI], ids=["single", "multi"])
def test_precision_and_recall_at_every_threshold_are_sklearns(labels):
    probabilities, targets = data(labels)
    found = counted(CurveCounts(labels), (probabilities[:100], targets[:100]), (probabilities[100:], targets[100:]))
    gold = targets.long() if labels.kind == "multi" else torch.nn.functional.one_hot(targets, 3)
    assert found.thresholds.tolist() == [step / 256 for step in range(256)]
    for threshold in [*range(0, 256, 17), 64, 128, 255]:
        chosen = (probabilities >= threshold / 256).long()
        for score, mine in ((precision_score, found.precision), (recall_score, found.recall)):
            wanted = score(gold, chosen, average=None, zero_division=np.nan)
            np.testing.assert_array_equal(mine[:, threshold], wanted)
    for label in range(3):
        wanted = binary_average_precision(probabilities[:, label], gold[:, label], thresholds=found.thresholds.float())
        assert found.average_precision[label].item() == pytest.approx(wanted.item(), abs=1e-6)


@pytest.mark.parametrize("labels", [SINGLE, MULTI], ids=["single", "multi"])
def test_reliability_is_sklearns_and_its_error_the_logged_one(labels):
    probabilities, targets = data(labels)
    found = counted(CurveCounts(labels), (probabilities, targets))
    if labels.kind == "multi":
        confidences, hits = probabilities.flatten().double().numpy(), targets.flatten().numpy()
    else:
        confidences, top = (value.numpy() for value in probabilities.double().max(1))
        hits = top == targets.numpy()
    sizes, _ = np.histogram(confidences, np.linspace(0, 1, 16))
    np.testing.assert_array_equal(found.sizes, sizes)
    # scikit-learn's bins end with their upper edge and not with their lower one: no confidence here is an inner edge
    hit_rate, confidence = calibration_curve(hits, confidences, n_bins=15)
    np.testing.assert_array_equal(found.hit_rate[found.sizes > 0], hit_rate)
    np.testing.assert_allclose(found.confidence[found.sizes > 0], confidence, atol=1e-8)
    assert found.hit_rate[found.sizes == 0].isnan().all()
    ranking = RankingScores(labels)
    ranking.update(probabilities, targets)
    assert found.calibration_error.item() == pytest.approx(ranking.compute()["ece"].item(), abs=1e-8)


def test_rows_without_a_target_or_with_a_nan_count_nowhere():
    probabilities, targets = data(SINGLE)
    alone = counted(CurveCounts(SINGLE), (probabilities[2:], targets[2:]))
    targets[0], probabilities[1, 2] = IGNORE, math.nan
    for mine, wanted in zip(counted(CurveCounts(SINGLE), (probabilities, targets)), alone, strict=True):
        torch.testing.assert_close(mine, wanted, atol=0, rtol=0, equal_nan=True)


def test_tags_are_rows_of_words():
    probabilities, targets = data(TAGS)
    flat = counted(CurveCounts(TAGS), (probabilities, targets))
    words = counted(CurveCounts(TAGS), (probabilities.view(30, 10, 3), targets.view(30, 10)))
    for mine, wanted in zip(words, flat, strict=True):
        torch.testing.assert_close(mine, wanted, atol=0, rtol=0, equal_nan=True)


def test_what_was_never_counted_or_is_forgotten_has_no_summary():
    metric = CurveCounts(SINGLE)
    assert counted(metric, data(SINGLE)) is not None
    metric.reset()
    assert counted(metric, (torch.full((1, 3), math.nan), torch.tensor([0]))) is None


def test_a_class_that_is_right_nowhere_has_no_recall():
    found = counted(CurveCounts(SINGLE), (torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([0])))
    assert found.average_precision[0].item() == 1.0
    assert found.average_precision[1:].isnan().all()


def test_scores_are_numpys_histograms():
    labels = LabelSpace.score(1, 5)
    generator = torch.Generator().manual_seed(1)
    targets = (torch.rand(500, generator=generator) * 20).round() / 5 + 1
    scores = targets + torch.randn(500, generator=generator)
    found = counted(ScoreCounts(labels), (scores[:200], targets[:200]), (scores[200:], targets[200:]))
    answers = scores.clamp(1, 5)
    edges = np.linspace(1, 5, 65)
    np.testing.assert_allclose(found.edges, edges, atol=1e-14)
    np.testing.assert_array_equal(found.cells, np.histogram2d(targets, answers, [edges, edges])[0])
    np.testing.assert_allclose(found.residual_edges, np.linspace(-4, 4, 65), atol=1e-14)
    np.testing.assert_array_equal(found.residuals, np.histogram(answers - targets, np.linspace(-4, 4, 65))[0])


def test_scores_that_are_nan_count_nowhere():
    metric = ScoreCounts(LabelSpace.score(0, 1))
    assert counted(metric, (torch.tensor([math.nan]), torch.tensor([0.5]))) is None
    assert counted(metric, (torch.tensor([0.25, math.nan]), torch.tensor([0.5, 0.5]))).residuals.sum() == 1


def test_labels_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="CurveCounts does not score labels of kind score"):
        CurveCounts(LabelSpace.score(0, 1))
    with pytest.raises(ValueError, match="ScoreCounts does not score labels of kind single"):
        ScoreCounts(SINGLE)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), st.integers(1, 50))
def test_bins_of_float32_are_those_of_exact_numbers(values, bins):
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    near = torch.tensor(values + edges.tolist(), dtype=torch.float32)
    exact = np.clip(np.searchsorted(edges.numpy(), near.double().numpy(), side="right") - 1, 0, bins - 1)
    assert place(near, float32_edges(edges)).tolist() == exact.tolist()
