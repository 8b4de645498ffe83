"""Held-out logits and what was right → a decision that can be trusted: a functional core in float64.

Logits are `[N,C]`. Targets are class indices int64 `[N]` where one class is right, and bool `[N,C]` where any number of
them may be; what a function does follows from that.
"""

from lightning_clf.calibration.abstention import CONFIDENCE, threshold_for_coverage, threshold_for_risk
from lightning_clf.calibration.cascading import Thresholds, weigh
from lightning_clf.calibration.choosing import Method, Outcome, Wanted, choose
from lightning_clf.calibration.folding import fold
from lightning_clf.calibration.label_sets import conformal_quantile
from lightning_clf.calibration.measures import Measures, measure, top_confidences
from lightning_clf.calibration.scaling import fit_temperature, fit_vector
from lightning_clf.calibration.thresholds import Target, fit_thresholds

__all__ = [
    "CONFIDENCE",
    "Measures",
    "Method",
    "Outcome",
    "Target",
    "Thresholds",
    "Wanted",
    "choose",
    "conformal_quantile",
    "fit_temperature",
    "fit_thresholds",
    "fit_vector",
    "fold",
    "measure",
    "threshold_for_coverage",
    "threshold_for_risk",
    "top_confidences",
    "weigh",
]
