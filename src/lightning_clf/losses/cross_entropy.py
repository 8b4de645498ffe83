"""The two standard losses: softmax for one label, sigmoid for many."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.counts import BETA, ClassCounts
from lightning_clf.errors import check_number
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import Loss, answers, valid_places
from lightning_clf.losses.weights import (
    ClassWeights,
    check_beta,
    check_strategy,
    class_weights,
    declared_weights,
)


class WeightedLoss(Loss):
    """A loss with one weight a class, declared or computed from the counts of train.

    Args:
        weights: A strategy (`inverse`, `sqrt_inverse`, `effective`), one number a class, or a mapping by label name;
            `None` weighs all alike.
        beta: β of `effective` (Cui et al. 2019), from 0, which weighs all alike, to 1, which weighs by 1/n. The paper
            takes 0.9 to 0.9999, the latter for large sets; small ones hardly differ from 1/n with it.

    A class that train lacks weighs 0 by a strategy where one of C is right: it has no place to be weighed at, and the
    others' places teach that it is not to be given. Of many labels it weighs 1: nothing but its absences teaches that.

    Raises:
        InputError: If there is no such strategy, β is out of bounds, or given to other weights than `effective`.
    """

    class_weights: Tensor

    def __init__(self, weights: ClassWeights | None = None, beta: float = BETA) -> None:
        super().__init__()
        check_strategy(weights)
        self._declared = weights
        self.beta = check_beta(beta, weights)

    def build(self, labels: LabelSpace) -> None:
        """Make the buffer of weights `[C]`; a strategy fills it once the counts are known."""
        super().build(labels)
        declared = self._declared
        if declared is None or isinstance(declared, str):
            weights = torch.ones(len(labels))
        else:
            weights = declared_weights(declared, labels, "class_weights")
        self.register_buffer("class_weights", weights)

    @property
    def awaits_counts(self) -> bool:
        """Whether the weights are to come from counts, which nobody has told."""
        return super().awaits_counts or (isinstance(self._declared, str) and not self._counted)

    def fit_counts(self, counts: ClassCounts) -> None:
        """Compute the weights, if they are to come from the counts."""
        super().fit_counts(counts)
        if isinstance(self._declared, str):
            weights = class_weights(self._declared, counts.counts, self.beta)
            if counts.labels.kind == "multi":
                weights = weights.where(torch.tensor(counts.counts) > 0, 1.0)
            self.class_weights.copy_(weights)


class CrossEntropyLoss(WeightedLoss):
    """Softmax cross-entropy, for one label of C and for tags.

    Args:
        class_weights: As for `WeightedLoss`. The mean divides by the sum of the weights, as in PyTorch.
        label_smoothing: Share of the target spread evenly over all classes (Szegedy et al. 2016); 0 is none.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(
        self, class_weights: ClassWeights | None = None, label_smoothing: float = 0.0, beta: float = BETA
    ) -> None:
        super().__init__(class_weights, beta)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        weights = self.class_weights.to(logits.dtype)
        total = functional.cross_entropy(
            logits, indices, weights, reduction="sum", label_smoothing=self.label_smoothing
        )
        return LossTerms(total, weights[indices].sum())


class BCELoss(WeightedLoss):
    """Sigmoid binary cross-entropy, for any of C labels.

    −w [v q log p + (1−q) log(1−p)], where q is the answer y smoothed: q = (1−ε) y + ε/2.

    Args:
        class_weights: As for `WeightedLoss`, on both answers of a label. The mean divides by the number of answers.
        pos_weight: How much more a label's presence weighs than its absence: one number, one a label, or a mapping
            by name; v in the formula.
        label_smoothing: ε, the share of each answer spread evenly over the two there are, as Szegedy et al. 2016
            spread it over all classes; 0 is none.
        beta: As for `WeightedLoss`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi"})
    pos_weight: Tensor

    def __init__(
        self,
        class_weights: ClassWeights | None = None,
        pos_weight: float | list[float] | dict[str, float] = 1.0,
        label_smoothing: float = 0.0,
        beta: float = BETA,
    ) -> None:
        super().__init__(class_weights, beta)
        self._pos_weight = pos_weight
        self.label_smoothing = check_number("label_smoothing", label_smoothing, least=0, most=1)

    def build(self, labels: LabelSpace) -> None:
        """Make the buffers of weights, both `[C]`."""
        super().build(labels)
        given = self._pos_weight
        values = [float(given)] * len(labels) if isinstance(given, int | float) else given
        self.register_buffer("pos_weight", declared_weights(values, labels, "pos_weight"))

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[B,C]` against 0/1 `[B,C]`."""
        scores, targets, count = answers(scores, targets)
        targets = (1 - self.label_smoothing) * targets + self.label_smoothing / 2
        weights, pos_weight = self.class_weights.to(scores.dtype), self.pos_weight.to(scores.dtype)
        total = functional.binary_cross_entropy_with_logits(
            scores, targets, weights, reduction="sum", pos_weight=pos_weight
        )
        return LossTerms(total, count)
