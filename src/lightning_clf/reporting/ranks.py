"""AUROC, average precision and calibration error of resampled rows, from rows that are sorted once.

In one draw they are what `metrics.ranking` says of the rows drawn; sorting anew for each of a thousand draws would take
minutes where this takes seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.metrics.ranking import BINS, calibration_bin, confidence_of, ranking_scores
from lightning_clf.reporting.resampling import DRAWS, SEED, Interval, draw, interval


def ranking_intervals(
    probabilities: Tensor, positives: Tensor, *, exclusive: bool, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Interval]:
    """The numbers of `metrics.RankingScores` with their intervals.

    Args:
        probabilities: Float32 `[N,C]`.
        positives: What is right, bool `[N,C]`.
        exclusive: Whether one label is right, so that confidence is that of the likeliest.
        draws: How often rows are drawn.
        seed: Of the draws.
    """
    probabilities = probabilities.clamp(0, 1)
    confidences, hits = confidence_of(probabilities, positives, exclusive=exclusive)
    values = ranking_scores(probabilities, positives, exclusive=exclusive)
    blocks = [
        torch.stack([*_areas(probabilities, positives, weights), _ece(confidences, hits, weights)])
        for weights in draw(len(probabilities), draws, seed)
    ]
    drawn = torch.cat(blocks, dim=1)
    return {name: interval(float(value), drawn[place]) for place, (name, value) in enumerate(values.items())}


def _areas(probabilities: Tensor, positives: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Macro AUROC and average precision of each draw, float64 `[D]`; NaN where no class has one."""
    found, counts = [], weights.int()  # half the memory to go through
    for label in range(probabilities.shape[1]):
        order = probabilities[:, label].argsort(descending=True)
        values, right = probabilities[order, label], positives[order, label]
        ends = torch.cat([values[1:] != values[:-1], torch.tensor([True])]).nonzero().flatten()
        drawn = counts[:, order]
        above = (drawn * right).cumsum(1, dtype=torch.int32)[:, ends].double()
        false = drawn.cumsum(1, dtype=torch.int32)[:, ends].double() - above
        rise = above.diff(dim=1, prepend=above.new_zeros(len(above), 1))
        step = false.diff(dim=1, prepend=false.new_zeros(len(false), 1))
        auroc = (step * (above - rise / 2)).sum(1) / (above[:, -1] * false[:, -1])
        precision = above / (above + false).clamp(min=1)
        found.append(torch.stack([auroc, (rise * precision).sum(1) / above[:, -1]]))
    auroc, precision = torch.stack(found).nanmean(0)
    return auroc, precision


def _ece(confidences: Tensor, hits: Tensor, weights: Tensor) -> Tensor:
    """The calibration error of each draw, float64 `[D]`."""
    sure = confidences.double()
    places = calibration_bin(sure)
    gaps, counts = sure.new_zeros(2, len(sure), BINS).unbind()
    gaps.scatter_add_(1, places, sure - hits.double())
    counts.scatter_add_(1, places, torch.ones_like(sure))
    drawn = weights.double()
    return (drawn @ gaps).abs().sum(1) / (drawn @ counts).sum(1)
