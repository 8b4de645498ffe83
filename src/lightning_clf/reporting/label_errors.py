"""Labels that may be wrong: confident learning (Northcutt, Jiang & Chuang 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class LabelErrors(NamedTuple):
    """Where the model disagrees with the labels more surely than it is right as a rule.

    Attributes:
        thresholds: How sure the model is of each class on the rows that have it, in the mean, float64 `[C]`; NaN for a
            class that no row has.
        joint: How many rows of each label (rows) are confidently of each class (columns), int64 `[C,C]`.
        rows: The rows that are confidently of another class than their label, the surest first. Int64 `[E]`.
        suggested: The class each of them is confidently of, int64 `[E]`.
        margins: The probability of the label less that of the likeliest other class, float64 `[E]`.
    """

    thresholds: Tensor
    joint: Tensor
    rows: Tensor
    suggested: Tensor
    margins: Tensor


def find_label_errors(probabilities: Tensor, labels: Tensor) -> LabelErrors:
    """Count the confident joint, and rank what lies off its diagonal by the normalised margin.

    A row is confidently of a class whose probability reaches the class's threshold; of the likeliest, where there are
    several, and of none where there is none. A row whose label is its likeliest class is never named.

    Args:
        probabilities: Of a model that was not trained on the rows, `[N,C]`.
        labels: The labels as given, int64 `[N]`.
    """
    probabilities, count = probabilities.double(), probabilities.shape[1]
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    sizes = torch.bincount(labels, minlength=count)
    thresholds = torch.bincount(labels, own, count) / sizes  # NaN where no row has the label, which nothing reaches
    reached = probabilities.where(probabilities >= thresholds, -1.0)
    best, confident = reached.max(1)
    joint = torch.bincount(labels[best >= 0] * count + confident[best >= 0], minlength=count**2).view(count, count)
    margins = own - probabilities.scatter(1, labels[:, None], -1.0).max(1).values
    found = ((best >= 0) & (confident != labels) & (margins < 0)).nonzero().flatten()
    order = found[margins[found].argsort(stable=True)]
    return LabelErrors(thresholds, joint, order, confident[order], margins[order])
