"""The losses as their papers write them: plain Python in float64, one place at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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


def focal(
    rows: Sequence[Sequence[float]],
    targets: Sequence[int],
    weights: Sequence[float],
    gamma: float,
    smoothing: float = 0.0,
) -> Terms:
    """−Σ_c q_c w_c (1−p_c)^γ log p_c (Lin et al. 2017, equation 5) with q the smoothed target; and Σ w_y."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            for index, log_p in enumerate(log_softmax(row)):
                share = smoothing / len(row) + (1 - smoothing) * (index == target)
                total -= share * weights[index] * (-math.expm1(log_p)) ** gamma * log_p
            weight += weights[target]
    return total, weight


def evened(
    cost: Callable[[Sequence[Sequence[int]]], Terms], targets: Sequence[Sequence[int]], smoothing: float
) -> Terms:
    """A cost that is a sum over answers, with ε/2 of either answer's in place of so much of the right one's."""
    ones, zeros = [[1] * len(row) for row in targets], [[0] * len(row) for row in targets]
    total, count = cost(targets)
    return (1 - smoothing) * total + smoothing / 2 * (cost(ones)[0] + cost(zeros)[0]), count


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
            log_p = log_sigmoid(logit)
            p = math.exp(log_p)
            shifted = max(p - margin, 0.0)
            log_absent = math.log(1 - shifted) if margin else log_sigmoid(-logit)
            total -= (1 - p) ** positive * log_p if answer else shifted**negative * log_absent
    return total, float(sum(len(row) for row in rows))


def smoothed(rows: Sequence[Sequence[float]], targets: Sequence[Sequence[int]], positive: float, share: float) -> Terms:
    """−[v q log p + (1−q) log(1−p)] with q = (1−ε) y + ε/2."""
    total = 0.0
    for row, answers in zip(rows, targets, strict=True):
        for logit, answer in zip(row, answers, strict=True):
            q = (1 - share) * answer + share / 2
            total -= positive * q * log_sigmoid(logit) + (1 - q) * log_sigmoid(-logit)
    return total, float(sum(len(row) for row in rows))


def logit_adjusted(
    rows: Sequence[Sequence[float]],
    targets: Sequence[int],
    weights: Sequence[float],
    counts: Sequence[int],
    tau: float,
    smoothing: float = 0.0,
) -> Terms:
    """Cross-entropy of z + τ log π (Menon et al. 2021, equation 10), a class that does not occur counting once."""
    seen = [max(count, 1) for count in counts]
    prior = [math.log(count / sum(seen)) for count in seen]
    moved = [[z + tau * log_pi for z, log_pi in zip(row, prior, strict=True)] for row in rows]
    return cross_entropy(moved, targets, weights, smoothing)


def ldam(
    rows: Sequence[Sequence[float]],
    targets: Sequence[int],
    margins: Sequence[float],
    scale: float,
    weights: Sequence[float],
    smoothing: float = 0.0,
) -> Terms:
    """−w_y log [e^s(z_y−Δ_y) / (e^s(z_y−Δ_y) + Σ_{j≠y} e^{s z_j})] (Cao et al. 2019, equation 13)."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            moved = [scale * (z - margins[target] * (index == target)) for index, z in enumerate(row)]
            total += cross_entropy([moved], [target], weights, smoothing)[0]
            weight += weights[target]
    return total, weight


def distribution_balanced(
    rows: Sequence[Sequence[float]],
    targets: Sequence[Sequence[int]],
    counts: Sequence[int],
    places: int,
    *,
    alpha: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.9,
    scale: float = 2.0,
    kappa: float = 0.05,
    gamma: float = 2.0,
    smoothing: float = 0.0,
) -> Terms:
    """r̂ [y log(1+e^−(z−ν)) + (1−y)/λ log(1+e^λ(z−ν))] (Wu et al. 2020, equations 2 to 8), each times (1−p)^γ."""
    total = 0.0
    for row, answers in zip(rows, targets, strict=True):
        drawn = sum(answer / max(count, 1) for answer, count in zip(answers, counts, strict=True))
        for z, answer, count in zip(row, answers, counts, strict=True):
            present, absent = max(count, 1), max(places - count, 1)
            weight = alpha + (1 / (1 + math.exp(-beta * (1 / present / drawn - mu))) if drawn else 1.0)
            b = -math.log(1 / (present / (present + absent)) - 1)
            nu = -kappa * b
            q = (1 - smoothing) * answer + smoothing / 2
            for share, cost, by in (
                (q, -log_sigmoid(z - nu), 1.0),  # log(1+e^−x) is −log σ(x)
                (1 - q, -log_sigmoid(-scale * (z - nu)), scale),
            ):
                total += weight * share * (1 - math.exp(-cost)) ** gamma * cost / by
    return total, float(sum(len(row) for row in rows))


def dice(rows: Sequence[Sequence[float]], targets: Sequence[int], alpha: float, gamma: float) -> Terms:
    """Σ_c 1 − (2 (1−p)^α p y + γ) / ((1−p)^α p + y + γ) (Li et al. 2020, table 2, DSC)."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            every = log_softmax(row)
            for index, log_p in enumerate(every):
                y, top = float(index == target), max(every[:index] + every[index + 1 :])
                # log(1−p), as the sum of the other p, which 1 − p would lose where p rounds to 1
                log_rest = top + math.log(sum(math.exp(other - top) for other in every[:index] + every[index + 1 :]))
                d = math.exp(alpha * log_rest + log_p)
                total += 1 - (2 * d * y + gamma) / (d + y + gamma)
            weight += 1
    return total, weight


def generalized(rows: Sequence[Sequence[float]], targets: Sequence[int], weights: Sequence[float], q: float) -> Terms:
    """w_y (1 − p_y^q) / q (Zhang & Sabuncu 2018, equation 6)."""
    total = weight = 0.0
    for row, target in zip(rows, targets, strict=True):
        if target != IGNORE:
            total += weights[target] * (1 - math.exp(log_softmax(row)[target]) ** q) / q
            weight += weights[target]
    return total, weight
