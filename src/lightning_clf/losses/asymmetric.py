"""Asymmetric loss (Ridnik et al. 2021, "Asymmetric Loss For Multi-Label Classification")."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import Loss, answers, smoothed
from lightning_clf.losses.focal import binary_focal, focus


class AsymmetricLoss(Loss):
    """Focal loss with two focusing powers and a margin, for many labels of which few are present.

    −[y (1−p)^γ₊ log p + (1−y) p_m^γ₋ log(1−p_m)] with p_m = max(p − m, 0): absences that are easy by more than the
    margin cost nothing, so that the many absences do not drown the few presences.

    Args:
        gamma_negative: γ₋, for absences; 4 is the paper's.
        gamma_positive: γ₊, for presences; 1 is the paper's.
        margin: m, the probability below which an absence costs nothing; 0.05 is the paper's.
        label_smoothing: ε, as for `BCELoss`.

    The mean divides by the number of examples times labels.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})

    def __init__(
        self,
        gamma_negative: float = 4.0,
        gamma_positive: float = 1.0,
        margin: float = 0.05,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.gamma_negative = check_number("gamma_negative", gamma_negative, least=0)
        self.gamma_positive = check_number("gamma_positive", gamma_positive, least=0)
        self.margin = check_number("margin", margin, least=0, most=1)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        scores, targets, count = answers(scores, targets)
        # in logarithms throughout: a presence given no chance keeps its gradient, where log(p) would need a clip
        margin = scores.new_tensor(self.margin).log()
        log_absent = torch.logaddexp(functional.logsigmoid(-scores), margin).clamp(max=0)
        absent = -focus(log_absent, self.gamma_negative) * log_absent
        present = binary_focal(scores, self.gamma_positive)
        return LossTerms(smoothed(present, absent, targets, self.label_smoothing).sum(), count)
