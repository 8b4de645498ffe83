"""Sets of labels that hold the right one as often as was asked: split conformal prediction."""

from __future__ import annotations

import math

from torch import Tensor


def conformal_quantile(probabilities: Tensor, targets: Tensor, level: float) -> float:
    """From which probability on a label is in the set, as one minus it (Sadinle, Lei & Wasserman 2019).

    The ⌈(n + 1)·level⌉-th smallest of the n values 1 − p(right label). The set of all labels for which 1 − p is no more
    holds the right one with a probability of at least `level`, over rows drawn as these were and over these; with
    continuous probabilities of at most `level` + 1/(n + 1). It says nothing of one class or of one row, and a set may
    be empty.

    Args:
        probabilities: `[N,C]`, of a network that was not fitted to these rows.
        targets: Class indices `[N]`.
        level: The share, above 0 and below 1.

    Returns:
        The quantile; 1, which takes in every label, where there are too few rows for the level.
    """
    values = 1 - probabilities.double().gather(1, targets[:, None]).flatten()
    place = math.ceil((len(values) + 1) * level - 1e-9)  # 0.9 · 10 is 9, whatever a rounding makes of it
    return float(values.sort().values[place - 1]) if place <= len(values) else 1.0
