"""Focal loss, which turns down what is already easy (Lin et al. 2017, "Focal Loss for Dense Object Detection")."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.counts import BETA
from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import answers, valid_places
from lightning_clf.losses.cross_entropy import WeightedLoss
from lightning_clf.losses.weights import ClassWeights


class FocalLoss(WeightedLoss):
    """−wᵧ (1−pᵧ)^γ log pᵧ over a softmax, for one label of C and for tags.

    Args:
        gamma: γ, how strongly the easy is turned down; 2 is the paper's choice, 0 is cross-entropy.
        class_weights: As for `WeightedLoss`; the paper's α. The mean divides by their sum.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(self, gamma: float = 2.0, class_weights: ClassWeights | None = None, beta: float = BETA) -> None:
        super().__init__(class_weights, beta)
        self.gamma = check_number("gamma", gamma, least=0)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        log_p = logits.log_softmax(-1).gather(1, indices[:, None]).squeeze(1)
        weight = self.class_weights.to(logits.dtype)[indices]
        return LossTerms((-weight * focus(log_p, self.gamma) * log_p).sum(), weight.sum())


class BinaryFocalLoss(WeightedLoss):
    """Focal loss on each label's own sigmoid, for any of C labels.

    Args:
        gamma: γ, as for `FocalLoss`.
        alpha: Weight of a label's presence, 1 − α that of its absence; 0.25 is the paper's with γ = 2. `None` weighs
            both 1.
        class_weights: As for `WeightedLoss`, on both answers of a label. The mean divides by the number of answers.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        class_weights: ClassWeights | None = None,
        beta: float = BETA,
    ) -> None:
        super().__init__(class_weights, beta)
        self.gamma = check_number("gamma", gamma, least=0)
        self.alpha = None if alpha is None else check_number("alpha", alpha, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        scores, targets, count = answers(scores, targets)
        log_p = functional.logsigmoid(torch.where(targets > 0.5, scores, -scores))
        terms = -focus(log_p, self.gamma) * log_p * self.class_weights.to(scores.dtype)
        if self.alpha is not None:
            terms = terms * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
        return LossTerms(terms.sum(), count)


def focus(log_p: Tensor, gamma: float | Tensor) -> Tensor:
    """(1−p)^γ. The base is kept off zero, where a power below 1 has no finite gradient."""
    return (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny) ** gamma
