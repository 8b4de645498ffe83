"""What a loss gives: a sum, and what to divide it by."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class LossTerms(NamedTuple):
    """A loss before the mean is taken, so that the mean can be taken over every rank and accumulated batch.

    Attributes:
        total: The sum of the loss over all places, a float32 scalar with a gradient.
        weight: What to divide by for the mean, a float32 scalar: the number of places, or the sum of their weights.
    """

    total: Tensor
    weight: Tensor

    @property
    def mean(self) -> Tensor:
        """`total / weight`, or 0 where nothing was counted."""
        mean = self.total / self.weight.clamp(min=torch.finfo(torch.float32).tiny)
        return mean.where(self.weight > 0, 0.0)  # the total need not be 0 then: smoothing spreads to what weighs
