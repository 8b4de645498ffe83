"""Distribution-balanced loss (Wu et al. 2020, "Distribution-Balanced Loss for Multi-Label Classification", ECCV)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import answers, smoothed
from lightning_clf.losses.counted import CountedLoss
from lightning_clf.losses.focal import binary_focal


class DistributionBalancedLoss(CountedLoss):
    """Binary cross-entropy for long-tailed labels that occur together, for any of C labels.

    r̂ᵢ [y log(1+e^−(z−ν)) + (1−y)/λ log(1+e^λ(z−ν))] for each label i of an example, where

    - r̂ᵢ = α + sigmoid(β (rᵢ − μ)) with rᵢ = (1/nᵢ) / Σⱼ yⱼ/nⱼ weighs a label by how often it would be drawn if labels
      were drawn evenly, against how often its example is drawn then for the sake of all its labels;
    - νᵢ = −κ b̂ᵢ with b̂ᵢ = −log(1/pᵢ − 1) and pᵢ = nᵢ/N, of N examples, lowers the logits of rare labels in training, so
      that their absences push them down less; predictions are made of z itself;
    - λ makes an absence that is already clear cost less still.

    With γ each term is multiplied by (1−p)^γ as in `BinaryFocalLoss`, p being the probability it gives the right
    answer: sigmoid(z−ν) for a presence and sigmoid(−λ(z−ν)) for an absence. The constant by which the authors multiply
    the focal form, a matter of the learning rate, is left out. Their code divides κ by λ besides; here, as in the paper
    and in Huang et al.'s code, it does not. The mean divides by the number of examples times labels.

    An example without labels has no draw to be weighed against, and takes the limit rᵢ → ∞, r̂ᵢ = α + 1, as in the
    authors' code. A label that train lacks counts once, and one that every row has counts as absent once.

    Defaults are those of Huang et al. 2021 ("Balancing Methods for Multi-label Text Classification with Long-Tailed
    Class Distribution", EMNLP), chosen on the texts of Reuters.

    Args:
        alpha: α, the least weight; 0.1 in both papers.
        beta: β, how steep the weight rises; 10 in both papers.
        mu: μ, where it rises; 0.9 for Reuters, 0.2 for the images of COCO. A present label has an r of at most 1.
        negative_scale: λ; 2 for Reuters and COCO. 1 is none.
        kappa: κ; 0.05 in both papers. 0 is none.
        gamma: γ, the focal power; 2 in both papers, 0 is none.
        label_smoothing: ε, as for `BCELoss`; r̂ is that of the labels as they are given.

    Raises:
        InputError: If a number is out of bounds.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})

    def __init__(
        self,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.9,
        negative_scale: float = 2.0,
        kappa: float = 0.05,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.alpha = check_number("alpha", alpha, least=0)
        self.beta = check_number("beta", beta, least=0)
        self.mu = check_number("mu", mu)
        self.negative_scale = check_number("negative_scale", negative_scale, above=0)
        self.kappa = check_number("kappa", kappa, least=0)
        self.gamma = check_number("gamma", gamma, least=0)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def weights(self, targets: Tensor) -> Tensor:
        """r̂ `[B,C]` for answers `[B,C]` of a float type."""
        rarity = 1 / self.label_counts.clamp(min=1).to(targets.dtype)
        # without a label the sum is 0 and r infinite, which a β of 0 could not be multiplied by
        ratio = (rarity / (targets * rarity).sum(1, keepdim=True)).clamp(max=torch.finfo(targets.dtype).max)
        return self.alpha + torch.sigmoid(self.beta * (ratio - self.mu))

    def bias(self, dtype: torch.dtype) -> Tensor:
        """ν `[C]`."""
        present, absent = self.label_counts.clamp(min=1), (self.places - self.label_counts).clamp(min=1)
        return -self.kappa * (present.to(dtype).log() - absent.to(dtype).log())  # 1/p − 1 is absent/present

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        scores, targets, count = answers(scores, targets)
        logits = scores - self.bias(scores.dtype)
        present = binary_focal(logits, self.gamma)
        absent = binary_focal(-self.negative_scale * logits, self.gamma) / self.negative_scale
        terms = self.weights(targets) * smoothed(present, absent, targets, self.label_smoothing)
        return LossTerms(terms.sum(), count)
