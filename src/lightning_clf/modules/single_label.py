"""One label of C for a text or a pair of texts."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.labels import Kind
from lightning_clf.losses import ClassWeights, CrossEntropyLoss, Loss
from lightning_clf.modules.base import ClassifierModule


class SingleLabelClassifier(ClassifierModule):
    """Softmax over C classes with cross-entropy, two classes included; judged by macro F1.

    Takes what `ClassifierModule` takes.
    """

    kind: ClassVar[Kind] = "single"
    default_monitor: ClassVar[str] = "val/f1_macro"

    @classmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """Cross-entropy."""
        return CrossEntropyLoss(class_weights)
