"""Any of C labels for a text or a pair of texts."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.labels import Kind
from lightning_clf.losses import BCELoss, ClassWeights, Loss
from lightning_clf.modules.base import ClassifierModule


class MultiLabelClassifier(ClassifierModule):
    """A sigmoid for each of C labels with binary cross-entropy; judged by macro F1.

    Takes what `ClassifierModule` takes.
    """

    kind: ClassVar[Kind] = "multi"
    default_monitor: ClassVar[str] = "val/f1_macro"

    @classmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """Binary cross-entropy."""
        return BCELoss(class_weights)
