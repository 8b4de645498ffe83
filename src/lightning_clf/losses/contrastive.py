"""Losses on the embeddings of texts, which draw those that share a label together and others apart."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.component import Component
from lightning_clf.errors import check_number
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision


class EmbeddingLoss(Component, nn.Module, ABC):
    """Compares embeddings with each other, in float32 where they are of lower precision.

    Two texts are alike where they have the same label, or of many labels at least one in common. To write one, subclass
    and define `forward`.
    """

    @abstractmethod
    def forward(self, embeddings: Tensor, targets: Tensor, pairs: Tensor) -> LossTerms:
        """Compare.

        Args:
            embeddings: What the texts of a batch are, `[B,H]`, each text once.
            targets: Class indices `[B]`, or 0/1 `[B,C]` for many labels.
            pairs: The texts of the P pairs that were drawn, by their places in the batch, int64 `[P,2]`. A loss may
                compare all texts of the batch instead.
        """


def alike(targets: Tensor) -> Tensor:
    """Which texts share a label: bool `[B,B]` of class indices `[B]` or 0/1 `[B,C]`."""
    if targets.ndim == 1:
        return targets[:, None] == targets
    return (targets[:, None].bool() & targets.bool()).any(-1)


class PairLoss(EmbeddingLoss):
    """A loss that looks at the pairs drawn, each by the cosine of the angle between its two embeddings."""

    def forward(self, embeddings: Tensor, targets: Tensor, pairs: Tensor) -> LossTerms:
        """The sum over pairs, and their number."""
        embeddings = full_precision(embeddings)
        first, second = pairs.unbind(1)
        cosine = torch.cosine_similarity(embeddings[first], embeddings[second])
        losses = self.of_pairs(cosine, alike(targets)[first, second].to(cosine.dtype))
        return LossTerms(losses.sum(), losses.new_tensor(len(pairs)))

    @abstractmethod
    def of_pairs(self, cosine: Tensor, same: Tensor) -> Tensor:
        """The loss of each pair `[P]`, of its cosine `[P]` and whether its texts are alike, 0 or 1 `[P]`."""


class CosineSimilarityLoss(PairLoss):
    """(cos(u, v) − y)², y = 1 for texts that are alike and 0 for others: SetFit's own (Tunstall et al. 2022)."""

    def of_pairs(self, cosine: Tensor, same: Tensor) -> Tensor:
        """The squared difference."""
        return (cosine - same) ** 2


class MarginContrastiveLoss(PairLoss):
    """½ [y d² + (1−y) max(0, m − d)²] with d = 1 − cos(u, v) (Hadsell, Chopra & LeCun 2006).

    Args:
        margin: m, the distance from which on texts that differ are let be. 0.5 is the default of
            `sentence-transformers`.

    Raises:
        InputError: If the margin is not above 0, or above 2, the largest distance there is.
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, above=0, most=2)

    def of_pairs(self, cosine: Tensor, same: Tensor) -> Tensor:
        """The square of the distance, or of what it lacks to the margin."""
        distance = 1 - cosine
        return 0.5 * (same * distance**2 + (1 - same) * functional.relu(self.margin - distance) ** 2)


class SupervisedContrastiveLoss(EmbeddingLoss):
    """−1/|P(i)| Σₚ log [exp(cos(i, p)/τ) / Σₐ exp(cos(i, a)/τ)] (Khosla et al. 2020).

    i is each text of the batch that has others alike, P(i), and a runs over all but i.

    Args:
        temperature: τ; 0.07 is SetFit's.

    Raises:
        InputError: If the temperature is not above 0.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = check_number("temperature", temperature, above=0)

    def forward(self, embeddings: Tensor, targets: Tensor, pairs: Tensor) -> LossTerms:
        """The sum over texts that have others alike, and their number."""
        itself = torch.eye(len(targets), dtype=torch.bool, device=embeddings.device)
        logits = (_cosines(embeddings) / self.temperature).masked_fill(itself, -torch.inf)
        likelihood = (logits - logits.logsumexp(1, keepdim=True)).masked_fill(itself, 0.0)
        positive = (alike(targets) & ~itself).to(likelihood.dtype)
        counts = positive.sum(1)
        losses = -(positive * likelihood).sum(1) / counts.clamp(min=1)
        return LossTerms(losses.sum(), (counts > 0).to(losses.dtype).sum())


class TripletLoss(EmbeddingLoss):
    """max(0, d(i, p) − d(i, n) + m) for every i, a p alike and an n not: "batch all" (Hermans, Beyer & Leibe 2017).

    d = 1 − cos. The mean is that of the triplets whose loss is not 0, as in the paper.

    Args:
        margin: m; 0.25 is SetFit's.

    Raises:
        InputError: If the margin is not above 0.
    """

    def __init__(self, margin: float = 0.25) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, above=0)

    def forward(self, embeddings: Tensor, targets: Tensor, pairs: Tensor) -> LossTerms:
        """The sum over triplets, and the number of those that are not 0."""
        cosines, same = _cosines(embeddings), alike(targets)
        itself = torch.eye(len(targets), dtype=torch.bool, device=embeddings.device)
        anchors, positives = (same & ~itself).nonzero(as_tuple=True)
        losses = functional.relu(cosines[anchors] - cosines[anchors, positives][:, None] + self.margin)
        losses = losses * ~same[anchors]
        return LossTerms(losses.sum(), (losses > 0).to(losses.dtype).sum())


def _cosines(embeddings: Tensor) -> Tensor:
    """The cosine of each two, `[B,B]`, in full precision within autocast too."""
    unit = functional.normalize(full_precision(embeddings), dim=-1)
    with torch.autocast(unit.device.type, enabled=False):
        return unit @ unit.T
