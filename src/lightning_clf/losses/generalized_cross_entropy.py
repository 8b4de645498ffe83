"""Generalized cross-entropy, for labels some of which are wrong (Zhang & Sabuncu 2018, NeurIPS)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lightning_clf.counts import BETA
from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import valid_places
from lightning_clf.losses.cross_entropy import WeightedLoss
from lightning_clf.losses.weights import ClassWeights

_NONE = 1e-30  # a power below which q log p would leave the normal numbers of float32


class GeneralizedCrossEntropyLoss(WeightedLoss):
    """w_y (1 − p_y^q) / q over a softmax, for one label of C and for tags.

    The paper is "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels". Between
    cross-entropy (q → 0) and the mean absolute error (q = 1): the loss of a place is at most 1/q, and its gradient that
    of cross-entropy times p_y^q, so that what contradicts all the rest, as wrong labels do, is hardly learned. A right
    label that is given no chance is not learned either. The paper's truncation of the loss is left out, as it needs
    passes over all of train.

    Args:
        q: From 0, which is cross-entropy, to 1; 0.7 is the paper's for all its experiments.
        class_weights: As for `WeightedLoss`. The mean divides by their sum.
        beta: As for `WeightedLoss`.

    Raises:
        InputError: If q is out of bounds, or as for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(self, q: float = 0.7, class_weights: ClassWeights | None = None, beta: float = BETA) -> None:
        super().__init__(class_weights, beta)
        self.q = check_number("q", q, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        log_p = logits.log_softmax(-1).gather(1, indices[:, None]).squeeze(1)
        # 1 − p^q in one step, which a small q leaves exact where the difference would cancel
        terms = -torch.expm1(self.q * log_p) / self.q if self.q > _NONE else -log_p
        weight = self.class_weights.to(logits.dtype)[indices]
        return LossTerms((weight * terms).sum(), weight.sum())
