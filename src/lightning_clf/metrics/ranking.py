"""How well probabilities rank and how far they can be trusted: AUROC, average precision, calibration error."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import TaskMetric, require_kind

BINS = 15


def macro_auroc(probabilities: Tensor, positives: Tensor) -> Tensor:
    """Mean area under the ROC curve, each class against the rest.

    Args:
        probabilities: Float32 `[B,C]`, in 0 … 1.
        positives: Which classes are right, bool `[B,C]`.

    Returns:
        A float64 scalar. A class that is right in no example or in all of them has no curve and is left out of the
        mean; NaN if that leaves none.
    """
    has_curve = positives.any(0) & ~positives.all(0)
    areas = [
        binary_auroc(probabilities[:, label], positives[:, label].long(), validate_args=False)
        for label in has_curve.nonzero().flatten().tolist()
    ]
    return _mean(areas)


def macro_average_precision(probabilities: Tensor, positives: Tensor) -> Tensor:
    """Mean average precision (area under the precision-recall curve), each class against the rest.

    Arguments and result are those of `macro_auroc`; here only a class that is right in no example is left out.
    """
    areas = [
        binary_average_precision(probabilities[:, label], positives[:, label].long(), validate_args=False)
        for label in positives.any(0).nonzero().flatten().tolist()
    ]
    return _mean(areas)


class CalibrationBins(NamedTuple):
    """Confidences by size, in bins of equal width.

    Attributes:
        counts: How many lie in each bin, int64 `[15]`.
        confidence: Their mean, float64 `[15]`; 0 in an empty bin.
        accuracy: The share of hits among them, float64 `[15]`; 0 in an empty bin.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor


def calibration_bins(confidences: Tensor, hits: Tensor) -> CalibrationBins:
    """Confidences against hit rates in 15 bins of equal width, each of which holds its lower end, the last both.

    Args:
        confidences: Of any float type, in 0 … 1, of any shape.
        hits: Whether what one was so confident of was so, bool, of the same shape.
    """
    sure, hit = confidences.flatten().cpu().double(), hits.flatten().cpu().double()
    place = calibration_bin(sure)
    counts = torch.bincount(place, minlength=BINS)
    means = (torch.bincount(place, values, minlength=BINS) / counts.clamp(min=1) for values in (sure, hit))
    return CalibrationBins(counts, *means)


def calibration_bin(confidences: Tensor) -> Tensor:
    """Which of the 15 bins each confidence is in, int64, from float64 of the same shape."""
    return torch.bucketize(confidences, torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1], right=True)


def expected_calibration_error(confidences: Tensor, hits: Tensor) -> Tensor:
    """Mean distance between confidence and hit rate over the bins of `calibration_bins`, weighted by their sizes.

    Arguments are those of `calibration_bins`.

    Returns:
        A float64 scalar, NaN if there is no confidence.
    """
    bins = calibration_bins(confidences, hits)
    return ((bins.confidence - bins.accuracy).abs() * bins.counts).sum() / bins.counts.sum()


def confidence_of(probabilities: Tensor, positives: Tensor, *, exclusive: bool) -> tuple[Tensor, Tensor]:
    """Of what a calibration error is made: how sure a model is of something, and whether it is so.

    Args:
        probabilities: `[B,C]`.
        positives: Which classes are right, bool `[B,C]`.
        exclusive: Whether one class is right: a row has one confidence then, that of its most probable class. `[B,1]`.
    """
    if not exclusive:
        return probabilities, positives
    sure, top = probabilities.max(dim=1, keepdim=True)
    return sure, positives.gather(1, top)


def ranking_scores(probabilities: Tensor, positives: Tensor, *, exclusive: bool) -> dict[str, Tensor]:
    """`auroc`, `average_precision` and `ece`: float64 scalars on the CPU.

    Args:
        probabilities: Float32 `[B,C]`, in 0 … 1.
        positives: Which classes are right, bool `[B,C]`.
        exclusive: Whether one class is right.
    """
    return {
        "auroc": macro_auroc(probabilities, positives),
        "average_precision": macro_average_precision(probabilities, positives),
        "ece": expected_calibration_error(*confidence_of(probabilities, positives, exclusive=exclusive)),
    }


def _mean(values: list[Tensor]) -> Tensor:
    if not values:
        return torch.tensor(math.nan, dtype=torch.float64)
    return torch.stack(values).double().mean().cpu()


class RankingScores(TaskMetric):
    """Macro AUROC, macro average precision and expected calibration error of probabilities.

    AUROC and average precision take each class against the rest, and leave out of the mean a class for which they are
    not defined. The calibration error is that of the most probable class where one label is right, and that of every
    label's own probability, all labels in one pool, where any number may be. What the data leave undefined is NaN: no
    example, no class with a curve, or a probability that is itself NaN.

    None of the three can be had from counts, so this keeps every probability of the epoch in float32 on the metric's
    device: 4·B·C bytes for B examples and C classes, and as much again for the targets of labels of kind `multi`.

    Args:
        labels: Labels of kind `single` or `multi`.

    Raises:
        ValueError: If the labels are of another kind.
    """

    reads = "probabilities"

    probabilities: list[Tensor]
    targets: list[Tensor]

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "RankingScores", expected=labels.kind in ("single", "multi"))
        super().__init__()
        self._classes = len(labels)
        self._exclusive = labels.kind == "single"
        self.add_state("probabilities", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Probabilities `[B,C]`.
            targets: The right class indices `[B]`, or labels 0/1 `[B,C]`; an example with `IGNORE` is left out.
        """
        # both flat and float32, as is the empty tensor with which torchmetrics has a process without a batch take part
        self.probabilities.append(preds.detach().float().flatten())
        self.targets.append(targets.detach().float().flatten())

    def compute(self) -> dict[str, Tensor]:
        """`auroc`, `average_precision` and `ece`: float64 scalars on the CPU."""
        probabilities, positives = self._pooled()
        if probabilities.isnan().any():
            return {name: torch.tensor(math.nan, dtype=torch.float64) for name in ("auroc", "average_precision", "ece")}
        return ranking_scores(probabilities, positives, exclusive=self._exclusive)

    def _pooled(self) -> tuple[Tensor, Tensor]:
        """All probabilities float32 `[B,C]` and what was right bool `[B,C]`, without ignored examples."""
        if not len(self.probabilities):  # a list, or between processes the one tensor made of all their lists
            return torch.zeros(0, self._classes), torch.zeros(0, self._classes, dtype=torch.bool)
        # a softmax in float32 may come out a rounding above 1, which torchmetrics would take for a logit
        probabilities = dim_zero_cat(self.probabilities).view(-1, self._classes).clamp(0, 1)
        targets = dim_zero_cat(self.targets).view(-1, 1 if self._exclusive else self._classes)
        kept = (targets != IGNORE).all(dim=1)
        probabilities, targets = probabilities[kept], targets[kept].long()
        if self._exclusive:
            return probabilities, targets == torch.arange(self._classes, device=targets.device)
        return probabilities, targets.bool()
