"""Label-distribution-aware margins (Cao et al. 2019, "Learning Imbalanced Datasets with LDAM Loss", NeurIPS)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.counts import BETA
from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import valid_places
from lightning_clf.losses.counted import CountedLoss
from lightning_clf.losses.weights import effective_weights


class LDAMLoss(CountedLoss):
    """Softmax cross-entropy in which the right class must lead by a margin, the larger the rarer it is.

    −w_y log softmax(s (z − Δ_y e_y))_y with Δ_c = max_margin (n_min / n_c)^¼, for one label of C and for tags; e_y is 1
    at the right class and 0 elsewhere. The weights w are 1 at first, and from the share `reweight_from` of training on
    they are those of the effective number (`class_weights`' strategy `effective`): the paper's deferred re-weighting,
    which lets features form before classes are evened out. The mean divides by the sum of the weights.

    Which of the two it is follows from `advance` alone. Outside of training every class weighs 1, so that `val/loss`
    does not jump half-way and a checkpoint gives the same number again.

    A class that train lacks has the margin of the rarest that it has, which leaves the other margins as they are, and
    weight 0.

    Args:
        max_margin: The margin of the rarest class, 0.5 in the authors' code. It is in units of a logit before `scale`,
            and there logits are cosines; where they are free, as here, several times as much may be needed to be felt.
        scale: s. The authors take 30, because their last layer gives cosines, from −1 to 1, which a softmax could not
            tell apart unscaled. The heads here give logits without such a bound, and 30 would only multiply gradients
            and saturate the softmax from the first step, so that it is 1. Set 30 for a head of your own that gives
            cosines.
        reweight_from: Share of all steps from which classes are weighed. 0.8 is the authors' 160 of 200 epochs; 1 never
            weighs.
        beta: β of the weights; 0.9999 is the authors'.
        label_smoothing: As for `CrossEntropyLoss`.

    Raises:
        InputError: If a number is out of bounds.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(
        self,
        max_margin: float = 0.5,
        scale: float = 1.0,
        reweight_from: float = 0.8,
        beta: float = BETA,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.max_margin = check_number("max_margin", max_margin, least=0)
        self.scale = check_number("scale", scale, above=0)
        self.reweight_from = check_number("reweight_from", reweight_from, least=0, most=1)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)
        self.beta = check_number("beta", beta, least=0, most=1)
        self._reweights = False

    def advance(self, progress: float) -> None:
        """Begin to weigh classes, or stop, by the share of training that is done."""
        self._reweights = self.reweight_from <= progress and self.reweight_from < 1

    def margins(self, counts: Tensor) -> Tensor:
        """Δ `[C]` for counts `[C]` of a float type."""
        fewest = torch.where(counts > 0, counts, torch.inf).amin().clamp(min=1, max=torch.finfo(counts.dtype).max)
        return self.max_margin * (fewest / counts.clamp(min=fewest)) ** 0.25

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        counts = self.label_counts.to(logits.dtype)
        weights = torch.ones_like(counts)
        if self._reweights and self.training:
            weights = effective_weights(counts, self.beta)
        margins = torch.zeros_like(logits).scatter(1, indices[:, None], self.margins(counts)[indices][:, None])
        logits = self.scale * (logits - margins)
        total = functional.cross_entropy(
            logits, indices, weights, reduction="sum", label_smoothing=self.label_smoothing
        )
        return LossTerms(total, weights[indices].sum())
