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
from lightning_clf.losses.base import answers, smoothed, valid_places
from lightning_clf.losses.cross_entropy import WeightedLoss
from lightning_clf.losses.weights import ClassWeights


class FocalLoss(WeightedLoss):
    """−wᵧ (1−pᵧ)^γ log pᵧ over a softmax, for one label of C and for tags.

    Args:
        gamma: γ, how strongly the easy is turned down; 2 is the paper's choice, 0 is cross-entropy.
        class_weights: As for `WeightedLoss`; the paper's α. The mean divides by their sum.
        label_smoothing: ε: in place of the right class's term alone, 1 − ε of it and ε/C of every class's.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(
        self,
        gamma: float = 2.0,
        class_weights: ClassWeights | None = None,
        label_smoothing: float = 0.0,
        beta: float = BETA,
    ) -> None:
        super().__init__(class_weights, beta)
        self.gamma = check_number("gamma", gamma, least=0)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        weights, log_p = self.class_weights.to(logits.dtype), logits.log_softmax(-1)
        right = log_p.gather(1, indices[:, None]).squeeze(1)
        total = (-weights[indices] * focus(right, self.gamma) * right).sum()
        if self.label_smoothing:
            even = (-weights * focus(log_p, self.gamma) * log_p).mean(-1).sum()
            total = (1 - self.label_smoothing) * total + self.label_smoothing * even
        return LossTerms(total, weights[indices].sum())


class BinaryFocalLoss(WeightedLoss):
    """Focal loss on each label's own sigmoid, for any of C labels.

    Args:
        gamma: γ, as for `FocalLoss`.
        alpha: Weight of a label's presence, 1 − α that of its absence; 0.25 is the paper's with γ = 2. `None` weighs
            both 1.
        class_weights: As for `WeightedLoss`, on both answers of a label. The mean divides by the number of answers.
        label_smoothing: ε, as for `BCELoss`.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        class_weights: ClassWeights | None = None,
        label_smoothing: float = 0.0,
        beta: float = BETA,
    ) -> None:
        super().__init__(class_weights, beta)
        self.gamma = check_number("gamma", gamma, least=0)
        self.alpha = None if alpha is None else check_number("alpha", alpha, least=0, most=1)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        scores, targets, count = answers(scores, targets)
        present, absent = (binary_focal(logits, self.gamma) for logits in (scores, -scores))
        if self.alpha is not None:
            present, absent = self.alpha * present, (1 - self.alpha) * absent
        terms = smoothed(present, absent, targets, self.label_smoothing) * self.class_weights.to(scores.dtype)
        return LossTerms(terms.sum(), count)


def binary_focal(logits: Tensor, gamma: float) -> Tensor:
    """−(1−p)^γ log p, p being the sigmoid."""
    log_p = functional.logsigmoid(logits)
    return -focus(log_p, gamma) * log_p


def focus(log_p: Tensor, gamma: float | Tensor) -> Tensor:
    """(1−p)^γ. The base is kept off zero, where a power below 1 has no finite gradient."""
    return (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny) ** gamma
