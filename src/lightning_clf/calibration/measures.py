"""How far probabilities can be trusted, in numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.metrics.ranking import CalibrationBins, calibration_bins, expected_calibration_error


class Measures(NamedTuple):
    """What probabilities are worth on rows whose answers are known.

    Attributes:
        nll: Mean negative log-likelihood of what is right; of any number of labels, mean over labels too.
        brier: Mean squared distance of the probabilities from what is right (Brier 1950): summed over classes where one
            is right, so that it is at most 2; mean over labels where any number may be.
        ece: Expected calibration error, as the metric of that name has it.
        bins: What it is the mean of.
        aurc: Area under the risk-coverage curve (Geifman and El-Yaniv 2017): the mean error among the most confident
            1, 2, … N rows. `None` where any number of labels may be right.
    """

    nll: float
    brier: float
    ece: float
    bins: CalibrationBins
    aurc: float | None


def measure(logits: Tensor, targets: Tensor) -> Measures:
    """Measure calibrated logits against what was right.

    Args:
        logits: `[N,C]`, at least one row.
        targets: `[N]`, or `[N,C]`.
    """
    logits = logits.double()
    if targets.dim() == 2:
        probabilities, right = logits.sigmoid(), targets.double()
        nll = functional.binary_cross_entropy_with_logits(logits, right)
        brier = ((probabilities - right) ** 2).mean()
        confidences, hits, aurc = probabilities, targets.bool(), None
    else:
        probabilities, right = logits.softmax(1), functional.one_hot(targets, logits.shape[1])
        nll = functional.cross_entropy(logits, targets)
        brier = ((probabilities - right) ** 2).sum(1).mean()
        confidences, hits = top_confidences(logits, targets)
        aurc = risk_coverage_area(confidences, hits)
    ece = expected_calibration_error(confidences, hits)
    return Measures(float(nll), float(brier), float(ece), calibration_bins(confidences, hits), aurc)


def top_confidences(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The probability of each row's likeliest class, float64 `[N]`, and whether it is right, bool `[N]`."""
    confidences, _ = logits.double().softmax(1).max(1)
    return confidences, logits.argmax(1) == targets


def risk_coverage_area(confidences: Tensor, hits: Tensor) -> float:
    """The mean, over k = 1 … N, of the share of errors among the k most confident rows.

    Rows of equal confidence stand in no order: errors are spread evenly over them.

    Args:
        confidences: Float `[N]`.
        hits: Whether each was right, bool `[N]`.
    """
    if not len(hits):
        return math.nan
    _, group = torch.unique(-confidences.double(), return_inverse=True)
    sizes = torch.bincount(group)
    errors = torch.bincount(group, (~hits).double())
    errors_so_far = (errors / sizes).repeat_interleave(sizes).cumsum(0)
    return float((errors_so_far / torch.arange(1, len(hits) + 1)).mean())
