"""The losses as their papers write them: plain Python in float64, one place at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lightning_clf.batch import IGNORE

Terms = tuple[float, float]


def log_softmax(row: Sequence[float]) -> list[float]:
    """log p of each class."""
    top = max(row)
    log_sum = top + math.log(sum(math.exp(value - top) for value in row))
    return [value - log_sum for value in row]


def log_sigmoid(value: float) -> float:
    """log p of a presence."""
    return -math.log1p(math.exp(-value)) if value > 0 else value - math.log1p(math.exp(value))


def cross_entropy(
    rows: Sequence[Sequence[float]], targets: Sequence[int], weights: Sequence[float], smoothing: float = 0.0
) -> Terms:
    """Σ over places of −Σ_c q_c w_c log p_c with q the smoothed target; and Σ w_y."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            for index, log_p in enumerate(log_softmax(row)):
                share = smoothing / len(row) + (1 - smoothing) * (index == target)
                total -= share * weights[index] * log_p
            weight += weights[target]
    return total, weight


def focal(rows: Sequence[Sequence[float]], targets: Sequence[int], weights: Sequence[float], gamma: float) -> Terms:
    """−w_y (1−p_y)^γ log p_y (Lin et al. 2017, equation 5)."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            log_p = log_softmax(row)[target]
            total -= weights[target] * (-math.expm1(log_p)) ** gamma * log_p
            weight += weights[target]
    return total, weight


def binary(
    rows: Sequence[Sequence[float]],
    targets: Sequence[Sequence[int]],
    weights: Sequence[float],
    pos_weight: Sequence[float] | None = None,
    gamma: float = 0.0,
    alpha: float | None = None,
) -> Terms:
    """−w_c [v_c α y (1−p)^γ log p + (1−α) (1−y) p^γ log(1−p)]; both α-weights 1 where there is no α."""
    total, present, absent = 0.0, *((1.0, 1.0) if alpha is None else (alpha, 1 - alpha))
    for row, answers in zip(rows, targets, strict=True):
        for index, (logit, answer) in enumerate(zip(row, answers, strict=True)):
            log_p = log_sigmoid(logit if answer else -logit)
            balance = present * (pos_weight[index] if pos_weight else 1.0) if answer else absent
            total -= weights[index] * balance * (-math.expm1(log_p)) ** gamma * log_p
    return total, float(sum(len(row) for row in rows))


def asymmetric(
    rows: Sequence[Sequence[float]], targets: Sequence[Sequence[int]], negative: float, positive: float, margin: float
) -> Terms:
    """−[y (1−p)^γ₊ log p + (1−y) p_m^γ₋ log(1−p_m)], p_m = max(p−m, 0) (Ridnik et al. 2021, equations 5 to 7)."""
    total = 0.0
    for row, answers in zip(rows, targets, strict=True):
        for logit, answer in zip(row, answers, strict=True):
            p = math.exp(log_sigmoid(logit))
            shifted = max(p - margin, 0.0)
            total -= (1 - p) ** positive * math.log(p) if answer else shifted**negative * math.log(1 - shifted)
    return total, float(sum(len(row) for row in rows))
