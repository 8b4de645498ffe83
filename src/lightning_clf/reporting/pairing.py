"""Two models on the same rows: how far a difference may be chance.

Intervals are those of a paired bootstrap, which draws a row with both of its answers. Whether there is a difference at
all is asked of the exact test of McNemar (1947) for the accuracy of one label a row, and by approximate randomisation
(Noreen 1989; Yeh 2000) for all that is no mean over rows, such as F1 and correlations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_clf.reporting.outcomes import Counted, Outcomes, count
from lightning_clf.reporting.ranked import NAMES, Ranked, means
from lightning_clf.reporting.resampling import DRAWS, SEED, Interval, agreement, draw, interval, scores_of

SWAPS = 4999
"""How often answers are swapped; a p-value is at least one in as many and one."""


class Difference(NamedTuple):
    """A number of both models.

    Attributes:
        first: Of the first model.
        second: Of the second.
        difference: The second less the first, with its interval.
        p_value: How often chance alone would make as large a difference; NaN where there is none to speak of, as of
            correlations with right scores that are all the same.
        test: How that was found: `mcnemar` or `randomisation`.
    """

    first: float
    second: float
    difference: Interval
    p_value: float
    test: str


Both = Callable[[Tensor, Tensor], dict[str, Tensor]]


def differences(first: Outcomes, second: Outcomes, draws: int = DRAWS, swaps: int = SWAPS) -> dict[str, Difference]:
    """Every number of the task, of two models on the same rows.

    Args:
        first: What the first model answered.
        second: What the second did, on the same rows.
        draws: How often rows are drawn for an interval.
        swaps: How often answers are swapped for a p-value.
    """
    score, width = _scorer(first, second)
    found = _differences(score, len(first), width, draws, swaps)
    if first.labels.kind == "single":
        exact = mcnemar(*discordant(first, second))
        found["accuracy"] = found["accuracy"]._replace(p_value=exact, test="mcnemar")
    return found


def ranked_differences(first: Ranked, second: Ranked, draws: int = DRAWS, swaps: int = SWAPS) -> dict[str, Difference]:
    """`map` and `mrr` of two models on the same questions, which are drawn and whose answers are swapped whole.

    Args:
        first: What the first model said of the candidates.
        second: What the second did.
        draws: How often questions are drawn for an interval.
        swaps: How often answers are swapped for a p-value.
    """
    each = torch.cat([first.by_group(), second.by_group()], dim=1)

    def score(weights: Tensor, others: Tensor) -> dict[str, Tensor]:
        found = means(each, torch.cat([weights, others], dim=1))
        return {name: found[place, 0] for place, name in enumerate(NAMES)}

    questions = each.shape[1] // 2
    return _differences(score, questions, questions, draws, swaps)


def _differences(score: Both, rows: int, width: int, draws: int, swaps: int) -> dict[str, Difference]:
    """Every number that `score` gives, of two models on as many rows, or on questions, for which it is the same."""
    ones, none = torch.ones(1, rows, dtype=torch.int64), torch.zeros(1, rows, dtype=torch.int64)
    values = [score(ones, none), score(none, ones)]
    seen = {name: value - values[0][name] for name, value in values[1].items()}
    drawn, chance = _collect(_drawn(score, rows, draws, width)), _collect(_swapped(score, rows, swaps))
    found = {}
    for name, gap in seen.items():
        as_large = int((chance[name].abs() >= gap.abs() - 1e-12).sum())
        found[name] = Difference(
            float(values[0][name]),
            float(values[1][name]),
            interval(float(gap), drawn[name]),
            math.nan if gap.isnan() else (1 + as_large) / (1 + swaps),
            "randomisation",
        )
    return found


def discordant(first: Outcomes, second: Outcomes) -> tuple[int, int]:
    """How many rows only the first model answers rightly, and how many only the second."""
    pairs = list(zip(first.right(), second.right(), strict=True))
    return pairs.count((True, False)), pairs.count((False, True))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test: of a fair coin that falls so unevenly, or more so."""
    flips, fewest = only_first + only_second, min(only_first, only_second)
    ways = term = 1
    for taken in range(fewest):
        term = term * (flips - taken) // (taken + 1)
        ways += term
    return float(min(Fraction(1), Fraction(2 * ways, 2**flips)))


def _scorer(first: Outcomes, second: Outcomes) -> tuple[Both, int]:
    """What scores rows of both models, each as often as is said, int64 `[1,N]`; and how many numbers that takes."""
    if first.labels.kind == "score":
        sides = [torch.stack(pair) for pair in zip(scores_of(first), scores_of(second), strict=True)]

        def of_scores(weights: Tensor, others: Tensor) -> dict[str, Tensor]:
            times = torch.cat([weights[0], others[0]])
            return agreement(*(side.flatten().repeat_interleave(times) for side in sides))

        return of_scores, len(first)
    counts = count(first), count(second)

    def of_counts(weights: Tensor, others: Tensor) -> dict[str, Tensor]:
        return counts[0].summarise(_total(counts, weights, others)).scalars

    return of_counts, max(counts[0].width, len(counts[0].row))


def _total(counts: tuple[Counted, Counted], weights: Tensor, others: Tensor) -> Tensor:
    return (counts[0].total(weights) + counts[1].total(others))[0]


def _drawn(score: Both, rows: int, draws: int, width: int) -> Iterator[dict[str, Tensor]]:
    """The difference in each draw of rows."""
    none = torch.zeros(1, rows, dtype=torch.int64)
    for block in draw(rows, draws, SEED, width):
        for weights in block:
            yield _gap(score(weights[None], none), score(none, weights[None]))


def _swapped(score: Both, rows: int, swaps: int) -> Iterator[dict[str, Tensor]]:
    """The difference where each row's two answers changed places or not, by a coin."""
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(swaps):
        swap = torch.randint(2, (1, rows), generator=generator)
        yield _gap(score(1 - swap, swap), score(swap, 1 - swap))


def _gap(first: dict[str, Tensor], second: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value - first[name] for name, value in second.items()}


def _collect(each: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    found = list(each)
    return {name: torch.stack([gaps[name] for gaps in found]) for name in found[0]}
