"""Squared error, for scores."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import Loss, answers


class MSELoss(Loss):
    """The squared difference, in the scores' own unit squared."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"score"})

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Numbers `[B]` against numbers `[B]`."""
        scores, targets, count = answers(scores, targets)
        return LossTerms(functional.mse_loss(scores, targets, reduction="sum"), count)
