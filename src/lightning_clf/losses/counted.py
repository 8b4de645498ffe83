"""What losses that follow from the counts of train have in common: the counts themselves, kept as whole numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.counts import ClassCounts
from lightning_clf.labels import LabelSpace
from lightning_clf.losses.base import Loss


class CountedLoss(Loss):
    """A loss that is computed from how often train has each label.

    The counts are a buffer of whole numbers, which `precision: bf16-true` does not round as it rounds weights; what
    follows from them is computed in the precision of the scores, for C numbers a batch. Until they are known, every
    label counts once among two places, so that none is preferred.
    """

    label_counts: Tensor
    places: Tensor

    def build(self, labels: LabelSpace) -> None:
        """Make the buffers: counts `[C]` and the number of places, int64."""
        super().build(labels)
        self.register_buffer("label_counts", torch.ones(len(labels), dtype=torch.long))
        self.register_buffer("places", torch.tensor(2))

    @property
    def awaits_counts(self) -> bool:
        """Whether nobody has told the counts."""
        return not self._counted

    def fit_counts(self, counts: ClassCounts) -> None:
        """Take in the counts."""
        super().fit_counts(counts)
        self.label_counts.copy_(torch.tensor(counts.counts))
        self.places.fill_(counts.places)
