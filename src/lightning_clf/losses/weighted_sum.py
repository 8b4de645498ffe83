"""Several losses at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_clf.batch import IGNORE
from lightning_clf.component import check_part
from lightning_clf.counts import ClassCounts
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import Loss
from lightning_clf.precision import full_precision


class WeightedSum(Loss):
    """Σₖ aₖ Lₖ, for the kinds of labels that all its losses fit.

    Every part is divided by the number of places alone: of targets that are not `IGNORE`, or of answers (examples times
    labels) for the kind `multi`. A part that has class weights is divided by the same number, where by itself it would
    be divided by the sum of the weights. Only so is there one number for the whole sum to be divided by, over all
    accumulated batches and processes, and the mean exact.

    Args:
        losses: The parts, at least one.
        weights: aₖ, one a part, 0 or more and not all 0.

    Raises:
        InputError: If there is no part, not one weight a part, a weight is negative or none is above 0, or the parts
            have no kind of label in common.
    """

    def __init__(self, losses: list[Loss], weights: list[float]) -> None:
        super().__init__()
        if not losses:
            raise InputError("WeightedSum has no losses: give it at least one")
        if len(losses) != len(weights):
            raise InputError(
                f"WeightedSum has {len(weights)} weights for {len(losses)} losses: give one for each, in their order"
            )
        for loss in losses:
            check_part("one of WeightedSum's losses", loss, Loss, "returns LossTerms from forward")
        self.weights = [check_number("WeightedSum's weight", weight, least=0) for weight in weights]
        if not any(self.weights):
            raise InputError("WeightedSum's weights are all 0, so that nothing would be learned: raise one")
        # of each sum its own, where every other loss has the kinds of its class
        self.kinds = frozenset.intersection(*(loss.kinds for loss in losses))  # type: ignore[misc]
        if not self.kinds:
            each = "; ".join(f"{type(loss).__name__} {', '.join(sorted(loss.kinds))}" for loss in losses)
            raise InputError(f"the losses of WeightedSum fit no kind of label together ({each}): leave one out")
        self.losses = nn.ModuleList(losses)

    @property
    def parts(self) -> list[Loss]:
        """The losses, in the order given."""
        return [loss for loss in self.losses if isinstance(loss, Loss)]

    def build(self, labels: LabelSpace) -> None:
        """Build each part."""
        for part in self.parts:
            part.build(labels)

    @property
    def awaits_counts(self) -> bool:
        """Whether a part does."""
        return any(part.awaits_counts for part in self.parts)

    def fit_counts(self, counts: ClassCounts) -> None:
        """Give each part the counts."""
        for part in self.parts:
            part.fit_counts(counts)

    def advance(self, progress: float) -> None:
        """Tell each part how far training is."""
        for part in self.parts:
            part.advance(progress)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Whatever the parts compare."""
        total = full_precision(scores).new_zeros(())
        for part, weight in zip(self.parts, self.weights, strict=True):
            total = total + weight * part(scores, targets).total
        # a score may have the number that stands for no target elsewhere
        counted = torch.ones_like(targets) if targets.is_floating_point() else targets != IGNORE
        return LossTerms(total, counted.sum(dtype=total.dtype))
