"""Scores of many labels at a probability of one half, and at thresholds tuned on dev."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve


def at_half_and_tuned(
    labels: Sequence[str],
    truth: Mapping[str, NDArray[np.bool_]],
    probabilities: Mapping[str, NDArray[np.float64]],
) -> dict[str, float]:
    """F1 of dev and test, decided in either way. Test has no say in the thresholds.

    Args:
        labels: The names of the labels.
        truth: What is right `[B,C]`, of `val` and of `test`.
        probabilities: What was predicted `[B,C]`, of both.

    Returns:
        Metrics like `test/f1_macro_tuned` and `val/f1_micro_at_half`, and of a label `test/f1_tuned/joy`.
    """
    levels = _thresholds(truth["val"], probabilities["val"])
    found = {}
    for stage, right in truth.items():
        for how, level in (("at_half", 0.5), ("tuned", levels)):
            chosen = probabilities[stage] >= level
            for average in ("macro", "micro"):
                value = f1_score(right, chosen, average=average, zero_division=0)
                found[f"{stage}/f1_{average}_{how}"] = float(value)
            each = f1_score(right, chosen, average=None, zero_division=0)
            found |= {f"{stage}/f1_{how}/{label}": float(value) for label, value in zip(labels, each, strict=True)}
    return found


def _thresholds(truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of each label from which on giving it has the highest F1."""
    found = []
    for label in range(truth.shape[1]):
        precision, recall, levels = precision_recall_curve(truth[:, label], probabilities[:, label])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        found.append(levels[f1[:-1].argmax()])
    return np.array(found)
