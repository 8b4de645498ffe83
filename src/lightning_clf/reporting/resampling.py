"""How far a number would differ on other rows like these: the bootstrap (Efron 1979), by percentiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_clf.metrics.agreement import correlation, mean_ranks
from lightning_clf.reporting.outcomes import Counted, Outcomes

DRAWS = 1000
"""How often the rows are drawn anew."""
SEED = 0
"""Of the draws, so that a report of the same rows is the same."""
LEVEL = 0.95
"""How often an interval should hold the number of all rows there could be."""
_CELLS = 500_000  # how many numbers a block of draws may take, which a processor keeps close by


class Interval(NamedTuple):
    """A number, and where it may well lie; NaN where it is not defined."""

    value: float
    low: float
    high: float


def draw(rows: int, draws: int = DRAWS, seed: int = SEED, width: int = 1) -> Iterator[Tensor]:
    """Draw as many rows as there are, with replacement, again and again.

    Args:
        rows: How many there are, N.
        draws: How often.
        seed: The same draws for the same seed, whatever is made of them.
        width: How many numbers are made of a draw, so that a block is not too large.

    Yields:
        Blocks of how often each row was drawn, int64 `[D,N]`.
    """
    generator = torch.Generator().manual_seed(seed)
    most = max(1, _CELLS // max(rows, width))
    for start in range(0, draws, most):
        block = min(most, draws - start)
        # one by one, so that the draws do not depend on the size of a block
        chosen = torch.stack([torch.randint(rows, (rows,), generator=generator) for _ in range(block)])
        flat = (chosen + rows * torch.arange(block)[:, None]).flatten()
        yield torch.bincount(flat, minlength=block * rows).view(block, rows)


def resampled(counted: Counted, draws: int = DRAWS, seed: int = SEED) -> dict[str, Tensor]:
    """Every number of the metrics room in each draw, and the F1 of each class, float64 `[draws]`, `[draws,C]`."""
    found = [
        counted.summarise(sums)
        for weights in draw(counted.rows, draws, seed, max(counted.width, len(counted.row)))
        for sums in counted.total(weights)
    ]
    numbers = {name: torch.stack([summary.scalars[name] for summary in found]) for name in found[0].scalars}
    return numbers | {"f1": torch.stack([summary.tally.f1 for summary in found])}


def interval(value: float, values: Tensor) -> Interval:
    """The middle 95 % of the values of the draws, those left out where the number is not defined. `[draws]`."""
    low, high = torch.nanquantile(values, values.new_tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2])).tolist()
    return Interval(value, low, high)


def intervals(counted: Counted, draws: int = DRAWS, seed: int = SEED) -> dict[str, Interval]:
    """Every number of the metrics room with its interval."""
    drawn = resampled(counted, draws, seed)
    return {name: interval(float(value), drawn[name]) for name, value in counted.of_all().scalars.items()}


def agreement(predicted: Tensor, answers: Tensor, gold: Tensor) -> dict[str, Tensor]:
    """Pearson, Spearman and the mean squared error, as `metrics.AgreementScores` has them.

    Args:
        predicted: Scores as they come, float64 `[N]`.
        answers: The same within the range.
        gold: The right ones.
    """
    return {
        "pearson": correlation(predicted, gold),
        "spearman": correlation(mean_ranks(predicted), mean_ranks(gold)),
        "mse": (answers - gold).square().mean(),
    }


def agreement_intervals(outcomes: Outcomes, draws: int = DRAWS, seed: int = SEED) -> dict[str, Interval]:
    """The numbers of a task of scores, with their intervals."""
    sides = scores_of(outcomes)
    drawn = [
        agreement(*(side.repeat_interleave(weights) for side in sides))
        for block in draw(len(outcomes), draws, seed)
        for weights in block
    ]
    return {
        name: interval(float(value), torch.stack([each[name] for each in drawn]))
        for name, value in agreement(*sides).items()
    }


def scores_of(outcomes: Outcomes) -> tuple[Tensor, Tensor, Tensor]:
    """Scores as they come, answers and right scores, float64 `[N]`."""
    predicted, answers, gold = (
        torch.tensor(side, dtype=torch.float64) for side in (outcomes.predicted, outcomes.answers, outcomes.gold)
    )
    return predicted, answers, gold


def main_intervals(
    outcomes: Outcomes, counted: Counted | None, chosen: list[int], draws: int = DRAWS
) -> dict[str, Interval]:
    """The two main numbers of some rows; `counted` is `None` where they are made of no counts."""
    if counted is None:
        part = Outcomes(
            outcomes.labels, [outcomes.gold[row] for row in chosen], [outcomes.predicted[row] for row in chosen]
        )
        found = agreement_intervals(part, draws)
    else:
        found = intervals(counted.of(chosen), draws)
    return {name: found[name] for name in outcomes.main}


def as_json(found: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    """Intervals in primitives."""
    return {name: each._asdict() for name, each in found.items()}
