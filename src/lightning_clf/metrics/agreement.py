"""How well predicted scores agree with the right ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.functional.regression import mean_squared_error, pearson_corrcoef
from torchmetrics.utilities import dim_zero_cat

from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import TaskMetric, require_kind


def correlation(preds: Tensor, targets: Tensor) -> Tensor:
    """Pearson's correlation in float64.

    Args:
        preds: Float `[B]`.
        targets: Float `[B]`.

    Returns:
        A scalar. NaN where the targets leave it undefined, being fewer than two or all the same; 0 where the
        predictions do, being all the same: a model that always says one thing has learnt nothing, and a NaN would end
        the training of a run that watches this number.
    """
    if len(targets) < 2 or bool((targets == targets[0]).all()):
        return torch.tensor(math.nan, dtype=torch.float64)
    if bool((preds == preds[0]).all()):
        return torch.tensor(0.0, dtype=torch.float64)
    return pearson_corrcoef(preds.double(), targets.double())


def mean_ranks(values: Tensor) -> Tensor:
    """The rank of each value, from 1; equal values share the mean of their ranks. Float64 `[B]`.

    torchmetrics adds ranks up in int32, which overflows at some 65,000 equal values, and correlates them in float32.
    """
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = counts.cumsum(0).double() - (counts - 1).double() / 2
    return ranks[place]


class AgreementScores(TaskMetric):
    """Pearson's and Spearman's correlation of scores, and the mean squared error of answers.

    An answer is a score held within the range of the labels. Correlations are of the scores as they are: held within
    the range, all that lie beyond it would rank alike.

    Spearman's correlation needs the ranks of all scores, so this keeps 8 bytes an example on the metric's device.

    Args:
        labels: A label space of kind `score`.

    Raises:
        ValueError: If the labels are of another kind.
    """

    reads = "scores"

    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "AgreementScores", expected=labels.kind == "score")
        super().__init__()
        self._range = labels.range or (None, None)
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Predicted scores `[B]`.
            targets: The right scores `[B]`.
        """
        # both flat and float32, as is the empty tensor with which torchmetrics has a process without a batch take part
        self.scores.append(preds.detach().float().flatten())
        self.targets.append(targets.detach().float().flatten())

    def compute(self) -> dict[str, Tensor]:
        """`pearson`, `spearman` and `mse`: float64 scalars on the CPU."""
        if not len(self.scores):  # a list, or between processes the one tensor made of all their lists
            nan = torch.tensor(math.nan, dtype=torch.float64)
            return {"pearson": nan, "spearman": nan, "mse": nan}
        # float64, which Apple's GPUs do not have, is taken on the CPU
        preds, targets = (dim_zero_cat(state).cpu().double() for state in (self.scores, self.targets))
        return {
            "pearson": correlation(preds, targets),
            "spearman": correlation(mean_ranks(preds), mean_ranks(targets)),
            "mse": mean_squared_error(preds.clamp(*self._range), targets),
        }
