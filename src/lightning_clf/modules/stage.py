"""What one stage of a run is judged by: its metrics, and its loss over the whole epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lightning_clf.labels import LabelSpace
from lightning_clf.losses import LossTerms
from lightning_clf.metrics import build_metrics
from lightning_clf.prediction import Prediction


class StageScores(nn.Module):
    """The metrics and the mean loss of `train`, `val` or `test`, over one epoch and all processes.

    Args:
        labels: The label space, which says what the metrics are.
    """

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__()
        self.metrics = build_metrics(labels)
        self.loss = MeanMetric()

    def update(self, terms: LossTerms, prediction: Prediction, targets: Tensor) -> None:
        """Take in one batch."""
        self.loss.update(terms.mean.detach(), terms.weight.detach())
        self.metrics.update(prediction, targets)

    def compute(self) -> dict[str, Tensor]:
        """Every number by its public name. The loss is the mean over places, not over batches."""
        return {"loss": self.loss.compute(), **self.metrics.compute()}

    def reset(self) -> None:
        """Forget every batch: where an epoch starts, since the reports that follow its end still read the counts."""
        self.metrics.reset()
        self.loss.set_dtype(torch.float32).reset()  # a Trainer of half precision has converted it
