"""What every loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_clf.batch import IGNORE
from lightning_clf.component import Component
from lightning_clf.counts import ClassCounts
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision


class Loss(Component, nn.Module, ABC):
    """Compares scores with targets, in float32 where the scores are of lower precision.

    To write one, subclass, name the `kinds` it fits, and define `forward`. `build` and `fit_counts` are there for what
    depends on the labels and on how often each occurs; what `fit_counts` learns must be a buffer, so that a checkpoint
    holds it.

    Attributes:
        kinds: The label kinds this loss fits. A pairing with any other is refused before training.
    """

    kinds: ClassVar[frozenset[Kind]]
    _counted: bool = False

    def build(self, labels: LabelSpace) -> None:
        """Prepare for a label space. The default needs nothing."""

    @property
    def awaits_counts(self) -> bool:
        """Whether the loss is not what it was asked to be until `fit_counts` is called. The default needs none."""
        return False

    def fit_counts(self, counts: ClassCounts) -> None:
        """Take in how often each of the C labels occurs in train. The default needs nothing but that it happened."""
        self._counted = True

    def advance(self, progress: float) -> None:
        """Take in which share of all training steps is done, before each step. The default does not change.

        What follows from it must follow from it alone, so that a run which goes on needs nothing else.
        """

    @abstractmethod
    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Compare.

        Args:
            scores: Logits `[…,C]`, or numbers `[B]` for the kind `score`.
            targets: Class indices `[…]` with `IGNORE` where there is none, 0/1 `[B,C]`, or numbers `[B]`.

        Returns:
            The sum, and its weight; of targets `[B,C]` that counts B·C of them, since `MultiTaskClassifier` makes a sum
            over labels of the mean.
        """


def valid_places(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores `[M,C]` in full precision and targets `[M]` of the M places that have a target."""
    valid = targets.flatten() != IGNORE
    return full_precision(scores.flatten(0, -2)[valid]), targets.flatten()[valid]


def answers(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and targets of one shape in full precision, and how many there are."""
    scores = full_precision(scores)
    return scores, targets.to(scores.dtype), scores.new_tensor(targets.numel())


def smoothed(present: Tensor, absent: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """What each answer costs, `[B,C]`: q of its presence's and 1 − q of its absence's, with q = (1−ε) y + ε/2.

    Args:
        present: What a presence costs.
        absent: What an absence costs.
        targets: y.
        smoothing: ε, the share of each answer spread evenly over the two there are, as Szegedy et al. 2016 spread it
            over all classes.
    """
    if not smoothing:
        return torch.where(targets > 0.5, present, absent)
    share = (1 - smoothing) * targets + smoothing / 2
    return share * present + (1 - share) * absent
