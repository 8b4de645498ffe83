"""Rankings within questions against scikit-learn, torchmetrics, and the formula written plainly."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_reciprocal_rank

from lightning_clf import LabelSpace
from lightning_clf.batch import IGNORE
from lightning_clf.metrics import GroupedRanking, build_metrics
from lightning_clf.metrics.grouped import grouped_ranking
from lightning_clf.prediction import Prediction

YES_NO = LabelSpace.of(["no", "yes"], "single")
ROWS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.booleans()), max_size=30)


def plain(rows):
    """Mean average precision and mean reciprocal rank, a row at a time."""
    precisions, reciprocals = [], []
    for wanted in {group for group, _, _ in rows}:
        own = [(score, right) for group, score, right in rows if group == wanted]
        if not any(right for _, right in own):
            continue
        ranks = [sum(other >= score for other, _ in own) for score, right in own if right]
        hits = [sum(other >= score and found for other, found in own) for score, right in own if right]
        precisions.append(sum(hit / rank for hit, rank in zip(hits, ranks, strict=True)) / len(ranks))
        reciprocals.append(1 / min(ranks))
    return [sum(values) / len(values) if values else math.nan for values in (precisions, reciprocals)]


@given(ROWS)
def test_numbers_are_those_of_the_formula_in_any_order(rows):
    for some in (rows, rows[::-1]):
        groups, scores, positives = (
            torch.tensor([row[place] for row in some], dtype=kind)
            for place, kind in enumerate((torch.int64, torch.float32, torch.bool))
        )
        found = [value.item() for value in grouped_ranking(scores, positives, groups)]
        assert found == pytest.approx(plain(rows), nan_ok=True, abs=1e-12)


def test_numbers_are_those_of_others():
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(50, (1000,), generator=generator)
    scores = torch.rand(1000, generator=generator)
    positives = torch.rand(1000, generator=generator) < 0.1
    precisions, reciprocals = [], []
    for group in groups.unique():
        own = groups == group
        if positives[own].any():
            precisions.append(average_precision_score(positives[own], scores[own]))
            reciprocals.append(retrieval_reciprocal_rank(scores[own], positives[own]).item())
    assert len(precisions) < 50  # so that some have no answer
    found = [value.item() for value in grouped_ranking(scores, positives, groups)]
    assert found[0] == pytest.approx(sum(precisions) / len(precisions), abs=1e-12)
    assert found[1] == pytest.approx(sum(reciprocals) / len(reciprocals), abs=1e-6)


def test_a_metric_in_batches_counts_what_the_function_does():
    generator = torch.Generator().manual_seed(1)
    yes, groups = torch.rand(40, generator=generator), torch.randint(6, (40,), generator=generator)
    targets = torch.randint(2, (40,), generator=generator)
    targets[3] = IGNORE
    metric = GroupedRanking(YES_NO)
    for part in (slice(0, 7), slice(7, 33), slice(33, 40)):
        metric.update(torch.stack([1 - yes[part], yes[part]], 1), targets[part], groups[part])
    kept = targets != IGNORE
    expected = grouped_ranking(yes[kept], targets[kept] == 1, groups[kept])
    assert metric.compute() == dict(zip(("map", "mrr"), expected, strict=True))
    metric.update(torch.tensor([[math.nan, math.nan]]), torch.tensor([1]), torch.tensor([0]))
    assert all(value.isnan() for value in metric.compute().values())


def test_without_groups_there_are_no_such_numbers():
    metrics = build_metrics(YES_NO)
    prediction = Prediction(indices=torch.tensor([1, 0]), probabilities=torch.tensor([[0.2, 0.8], [0.6, 0.4]]))
    metrics.update(prediction, torch.tensor([1, 0]))
    assert not {"map", "mrr"} & set(metrics.compute())
    metrics.reset()
    metrics.update(prediction, torch.tensor([1, 0]), torch.tensor([5, 5]))
    assert metrics.compute()["map"].item() == metrics.compute()["mrr"].item() == 1


def test_three_labels_are_not_ranked():
    with pytest.raises(ValueError, match="GroupedRanking does not score labels of kind single"):
        GroupedRanking(LabelSpace.of(["a", "b", "c"], "single"))
