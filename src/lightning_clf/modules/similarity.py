"""A score for a text or a pair of texts."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.errors import InputError
from lightning_clf.labels import Kind
from lightning_clf.losses import ClassWeights, Loss, MSELoss
from lightning_clf.modules.base import ClassifierModule


class SimilarityRegressor(ClassifierModule):
    """One number with squared error, such as how alike two sentences are; judged by Spearman's correlation.

    Takes what `ClassifierModule` takes, but for `class_weights`: a score has no classes.
    """

    kind: ClassVar[Kind] = "score"
    default_monitor: ClassVar[str] = "val/spearman"

    @classmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """Squared error."""
        if class_weights is not None:
            raise InputError("model.class_weights does not apply to scores, which have no classes: leave it out")
        return MSELoss()
