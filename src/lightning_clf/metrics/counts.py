"""The functional core: counts of decisions, and the ratios made of them.

Counts are int64 and stay where the predictions are, without a round trip to the host; ratios are float64 on the CPU.
A ratio whose denominator is zero is 0, as in scikit-learn's and seqeval's default.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Tally(NamedTuple):
    """What precision, recall and F1 of each class are made of, int64 `[C]` on the CPU.

    Attributes:
        correct: How often a class was predicted where it is right.
        predicted: How often it was predicted.
        gold: How often it is right.
    """

    correct: Tensor
    predicted: Tensor
    gold: Tensor

    @property
    def precision(self) -> Tensor:
        """Float64 `[C]`."""
        return ratio(self.correct, self.predicted)

    @property
    def recall(self) -> Tensor:
        """Float64 `[C]`."""
        return ratio(self.correct, self.gold)

    @property
    def f1(self) -> Tensor:
        """Float64 `[C]`."""
        return ratio(2 * self.correct, self.predicted + self.gold)

    def micro(self) -> Tally:
        """All classes taken as one: the sums, with C = 1."""
        return Tally(*(count.sum(0, keepdim=True) for count in self))


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient in float64, 0 where the denominator is 0."""
    quotient = numerator.double() / denominator.double()
    return quotient.where(denominator != 0, torch.zeros_like(quotient))


def averages(tally: Tally, counted: Tensor) -> dict[str, Tensor]:
    """Macro and weighted means over classes, and F1 of all classes taken as one.

    Args:
        tally: The counts of each class.
        counted: Which classes the macro means are taken over, bool `[C]`.
    """
    share = counted.double()
    return {
        "f1_macro": ratio((tally.f1 * share).sum(), share.sum()),
        "f1_micro": tally.micro().f1[0],
        "f1_weighted": ratio((tally.f1 * tally.gold).sum(), tally.gold.sum()),
        "precision_macro": ratio((tally.precision * share).sum(), share.sum()),
        "recall_macro": ratio((tally.recall * share).sum(), share.sum()),
    }


def count_pairs(rows: Tensor, columns: Tensor, mask: Tensor, size: int) -> Tensor:
    """How often each pair of indices stands where the mask is true.

    Args:
        rows: Indices in 0 … size - 1 where the mask is true, int64.
        columns: The same, of the same shape.
        mask: Bool, of the same shape.
        size: How many indices there are.

    Returns:
        Counts, int64 `[size, size]`.
    """
    # a masked sum instead of a selection: selecting would make a GPU wait for the host, batch after batch
    pairs = (rows * size + columns).where(mask, 0).flatten()
    counts = torch.zeros(size * size, dtype=torch.int64, device=rows.device)
    return counts.index_add(0, pairs, mask.flatten().long()).view(size, size)
