"""What one stage of a run is judged by: its metrics, and its loss over the whole epoch."""

from __future__ import annotations

from typing import cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_clf.batch import Batch
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import LossTerms
from lightning_clf.metrics import build_metrics
from lightning_clf.prediction import Prediction


class LossMean(Metric):
    """The mean loss over places, of all batches and processes: NaN as soon as one batch's is, which is to be seen."""

    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, terms: LossTerms) -> None:
        """Take in one batch."""
        self.total += terms.total.detach()
        self.weight += terms.weight.detach()

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.weight


class StageScores(nn.Module):
    """The metrics and the mean loss of `train`, `val` or `test`, over one epoch and all processes.

    Args:
        labels: The label space, which says what the metrics are.

    Attributes:
        is_empty: Whether no process has taken in a batch; known once the epoch has ended.
    """

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__()
        self.labels = labels
        self.is_empty = False
        self.metrics = build_metrics(labels)
        self.loss = LossMean()

    def update(self, terms: LossTerms, prediction: Prediction, batch: Batch) -> None:
        """Take in one batch, which has targets."""
        self.loss.update(terms)
        self.metrics.update(prediction, batch.require_targets(), batch.groups)

    def compute(self) -> dict[str, Tensor]:
        """Every number by its public name. The loss is the mean over places, not over batches."""
        return {"loss": self.loss.compute(), **self.metrics.compute()}

    def reset(self) -> None:
        """Forget every batch: where an epoch starts, since the reports that follow its end still read the counts."""
        self.metrics.reset()
        self.loss.set_dtype(torch.float32).reset()  # a Trainer of half precision has converted it


class ScoredModule(LightningModule):
    """A LightningModule with scores for each stage, counted over an epoch and logged at its end.

    Attributes:
        monitor: The metric that the progress bar shows, as `val/…`.
    """

    monitor: str

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleDict()

    def build_scores(self, labels: LabelSpace) -> None:
        """Build the scores of every stage for a label space."""
        # "train" alone is taken: a module's method has that name
        self.stages = nn.ModuleDict({f"{stage}_stage": StageScores(labels) for stage in ("train", "val", "test")})

    def stage_scores(self, stage: str) -> StageScores:
        """The metrics and the loss of `train`, `val` or `test`."""
        return cast(StageScores, self.stages[f"{stage}_stage"])

    def scores(self, stage: str) -> dict[str, StageScores]:
        """The scores of a stage by what stands before their names: of a module of one task nothing."""
        return {"": self.stage_scores(stage)}

    def on_train_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset("train")

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset("test")

    def on_train_epoch_end(self) -> None:
        """Log the epoch's metrics."""
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics."""
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        """Log the epoch's metrics."""
        self._log_epoch("test")

    def _reset(self, stage: str) -> None:
        for scores in self.scores(stage).values():
            scores.reset()

    def epoch_values(self, stage: str) -> dict[str, Tensor]:
        """Every number of a stage by its name without the stage, at its end; none of what nothing was counted of."""
        return {
            f"{prefix}{name}": value
            for prefix, scores in self.scores(stage).items()
            if not scores.is_empty
            for name, value in scores.compute().items()
        }

    def note_empty(self, stage: str) -> None:
        """Have the scores of a stage know whether they are empty, as a step of a user's own may leave them."""
        every = list(self.scores(stage).values())
        # a process may have had no row, and computes what the others have counted all the same
        counts = torch.tensor([scores.loss.update_count for scores in every], device=self.device)
        for scores, count in zip(
            every, cast(Tensor, self.trainer.strategy.reduce(counts, reduce_op="sum")), strict=True
        ):
            scores.is_empty = not count

    def _log_epoch(self, stage: str) -> None:
        self.note_empty(stage)
        # Lightning would warn of float64, and rounds to float32 itself
        values = {f"{stage}/{name}": value.float() for name, value in self.epoch_values(stage).items()}
        shown = self.monitor.replace("val/", f"{stage}/")
        self.log_dict({name: value for name, value in values.items() if name != shown})
        if shown in values:
            self.log(shown, values[shown], prog_bar=True)
