"""Logit adjustment (Menon et al. 2021, "Long-tail Learning via Logit Adjustment", ICLR)."""

from __future__ import annotations

from torch import Tensor

from lightning_clf.counts import BETA
from lightning_clf.errors import check_number
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.counted import CountedLoss
from lightning_clf.losses.cross_entropy import CrossEntropyLoss
from lightning_clf.losses.weights import ClassWeights
from lightning_clf.precision import full_precision


class LogitAdjustedLoss(CrossEntropyLoss, CountedLoss):
    """Softmax cross-entropy of z + τ log π, for one label of C and for tags, π being the classes' shares of train.

    The frequent classes are given their head start by the prior, so that the logits z themselves, which predictions are
    made of, need not hold it: they are those of balanced classes. With τ = 1 it is the balanced softmax (Ren et al.
    2020, "Balanced Meta-Softmax for Long-Tailed Visual Recognition"). Predictions favour rare classes more than train
    does, so that `val/loss`, which adjusts too, is what goes with them, and probabilities are of balanced classes.

    A class that train lacks counts once, which keeps its prior, and with it loss and gradients, finite.

    Args:
        tau: τ, how much of the prior is taken off; 1 is what theory gives and the papers' default, 0 is cross-entropy.
        class_weights: As for `CrossEntropyLoss`. The prior corrects already; both together correct twice.
        label_smoothing: As for `CrossEntropyLoss`.
        beta: As for `CrossEntropyLoss`.

    Raises:
        InputError: If τ is negative, or as for `CrossEntropyLoss`.
    """

    def __init__(
        self,
        tau: float = 1.0,
        class_weights: ClassWeights | None = None,
        label_smoothing: float = 0.0,
        beta: float = BETA,
    ) -> None:
        super().__init__(class_weights, label_smoothing, beta)
        self.tau = check_number("tau", tau, least=0)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        scores = full_precision(scores)
        counts = self.label_counts.clamp(min=1).to(scores.dtype)
        return super().forward(scores + self.tau * (counts / counts.sum()).log(), targets)
