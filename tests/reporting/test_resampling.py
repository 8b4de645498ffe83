"""Intervals are those of a plain loop over the same draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lightning_clf.metrics import RankingScores
from lightning_clf.reporting import resampling
from lightning_clf.reporting.outcomes import count
from lightning_clf.reporting.ranks import ranking_intervals
from lightning_clf.reporting.resampling import agreement_intervals, draw, interval, intervals
from tests.reporting.drawn import SPACES, by_sklearn, outcomes


def plain_draws(rows: int, draws: int) -> list[list[int]]:
    """The rows of each draw, one after another."""
    generator = torch.Generator().manual_seed(resampling.SEED)
    return [torch.randint(rows, (rows,), generator=generator).tolist() for _ in range(draws)]


def test_draws_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    expected = [torch.bincount(torch.tensor(rows), minlength=7).tolist() for rows in plain_draws(7, 20)]
    for cells in (4_000_000, 30, 1):
        monkeypatch.setattr(resampling, "_CELLS", cells)
        assert torch.cat([*draw(7, 20)]).tolist() == expected


@pytest.mark.parametrize("kind", ["single", "multi", "words", "score"])
def test_intervals_are_those_of_a_loop(kind):
    found = outcomes(kind)
    mine = agreement_intervals(found, 60) if kind == "score" else intervals(count(found), 60)
    loop = [
        by_sklearn(kind, [found.gold[row] for row in rows], [found.predicted[row] for row in rows])
        for rows in plain_draws(40, 60)
    ]
    whole = by_sklearn(kind, found.gold, found.predicted)
    for name, value in whole.items():
        low, high = np.percentile([each[name] for each in loop], [2.5, 97.5])
        assert mine[name] == pytest.approx((value, low, high), abs=1e-12)
        assert mine[name].low < value < mine[name].high
    if kind == "score":
        ranks = [
            spearmanr([found.gold[r] for r in rows], [found.predicted[r] for r in rows])[0]
            for rows in plain_draws(40, 60)
        ]
        assert mine["spearman"][1:] == pytest.approx(np.percentile(ranks, [2.5, 97.5]), abs=1e-12)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_ranking_is_that_of_the_metrics_room_in_every_draw(kind):
    generator = torch.Generator().manual_seed(5)
    found = outcomes(kind, rows=12)  # so few that classes are missing from some draws
    probabilities = torch.randint(1, 6, (12, 3), generator=generator).float() / 6  # many are equal
    positives = torch.zeros(12, 3, dtype=torch.bool)
    for row, right in enumerate(found.gold):
        positives[row, right] = True
    mine = ranking_intervals(probabilities, positives, exclusive=kind == "single", draws=50)
    loop, whole = [], RankingScores(SPACES[kind])
    targets = torch.tensor(found.gold) if kind == "single" else positives.float()
    for rows in plain_draws(12, 50):
        metric = RankingScores(SPACES[kind])
        metric.update(probabilities[rows], targets[rows])
        loop.append({name: value.item() for name, value in metric.compute().items()})
    whole.update(probabilities, targets)
    for name, value in whole.compute().items():
        low, high = np.nanpercentile([each[name] for each in loop], [2.5, 97.5])
        assert mine[name] == pytest.approx((value.item(), low, high), abs=1e-6)  # torchmetrics ranks in float32


def test_draws_that_leave_a_number_undefined_are_left_out():
    values = torch.tensor([math.nan, 1.0, 2.0, 3.0], dtype=torch.float64)
    assert interval(2.0, values) == pytest.approx((2.0, 1.05, 2.95))
