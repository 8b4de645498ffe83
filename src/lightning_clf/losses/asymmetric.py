"""Asymmetric loss (Ridnik et al. 2021, "Asymmetric Loss For Multi-Label Classification")."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lightning_clf.labels import Kind
from lightning_clf.losses.base import Loss, LossTerms


class AsymmetricLoss(Loss):
    """Focal loss with two focusing powers and a margin, for many labels of which few are present.

    −[y (1−p)^γ₊ log p + (1−y) p_m^γ₋ log(1−p_m)] with p_m = max(p − m, 0): absences that are easy by more than the
    margin cost nothing, so that the many absences do not drown the few presences.

    Args:
        gamma_negative: γ₋, for absences; 4 is the paper's.
        gamma_positive: γ₊, for presences; 1 is the paper's.
        margin: m, the probability below which an absence costs nothing; 0.05 is the paper's.

    The mean divides by the number of examples times labels.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})

    def __init__(self, gamma_negative: float = 4.0, gamma_positive: float = 1.0, margin: float = 0.05) -> None:
        super().__init__()
        self.gamma_negative, self.gamma_positive, self.margin = gamma_negative, gamma_positive, margin

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        targets = targets.float()
        present = scores.float().sigmoid()
        absent = (1 - present + self.margin).clamp(max=1)
        p = torch.where(targets > 0.5, present, absent)
        gamma = torch.where(targets > 0.5, self.gamma_positive, self.gamma_negative)
        # clipped, since a logit of -1e4 would otherwise cost infinitely much
        terms = -((1 - p) ** gamma) * p.clamp(min=1e-8).log()
        return LossTerms(terms.sum(), torch.tensor(float(targets.numel()), device=scores.device))
