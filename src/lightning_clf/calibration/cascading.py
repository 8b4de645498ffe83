"""Below which confidence it pays to ask a language model: what every threshold costs, and how often it is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ALIKE = 1e-12  # costs that differ by no more than this part of themselves differ by rounding


@dataclass(frozen=True)
class Thresholds:
    """Every threshold that divides the held-out rows in another way, and what becomes of them.

    They are 0, the midpoints between confidences that follow each other, and 1. A row is asked about where its
    confidence is no more than the threshold.

    Attributes:
        values: The thresholds, rising, float64 `[K]`.
        asked: How many rows are asked about by each, int64 `[K]`.
        wrong: How many rows are answered wrongly by each, whoever answers, int64 `[K]`.
        rows: How many rows there are.
    """

    values: Tensor
    asked: Tensor
    wrong: Tensor
    rows: int

    def costs(self, per_call: float, per_error: float) -> Tensor:
        """What a row costs by each threshold, float64 `[K]`.

        Args:
            per_call: What asking about one row costs.
            per_error: What one row that is answered wrongly costs.
        """
        return (per_call * self.asked.double() + per_error * self.wrong.double()) / self.rows

    def cheapest(self, per_call: float, per_error: float) -> int:
        """The place of the threshold of least cost; of several, of that which asks least. Arguments: as above."""
        costs = self.costs(per_call, per_error)
        return int((costs <= costs.min() * (1 + _ALIKE)).nonzero()[0])


def weigh(confidences: Tensor, hits: Tensor, others: Tensor) -> Thresholds:
    """What becomes of held-out rows by every threshold.

    Args:
        confidences: How sure the classifier is of each row's answer, from 0 to 1, `[N]`, N at least 1.
        hits: Whether it is right, bool `[N]`.
        others: Whether the answer is right that asking leads to, bool `[N]`.
    """
    ordered, order = confidences.double().sort()
    distinct = _once(ordered)
    middles = (distinct[:-1] + distinct[1:]) / 2
    values = _once(torch.cat([ordered.new_zeros(1), middles, ordered.new_ones(1)]))
    asked = torch.searchsorted(ordered, values, right=True)
    below = torch.cat([asked.new_zeros(1), (~others[order]).cumsum(0)])
    above = torch.cat([asked.new_zeros(1), (~hits[order]).cumsum(0)])
    wrong = below[asked] + above[-1] - above[asked]
    return Thresholds(values, asked, wrong, len(ordered))


def _once(ordered: Tensor) -> Tensor:
    """The values there are, from such as do not fall."""
    return ordered[torch.cat([torch.ones(1, dtype=torch.bool), ordered[1:] > ordered[:-1]])]
