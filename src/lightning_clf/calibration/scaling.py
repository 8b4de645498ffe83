"""Logits scaled so that probabilities are as often right as they say (Guo et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_FLATTEST = 2.0**-30  # of largest distances: what makes probabilities of one size to nine digits tells no temperature
_HALVINGS = 64  # of a bracket between one and two: more than a float64 can tell
_STEPS = 200
_TOLERANCE = 1e-11


def fit_temperature(logits: Tensor, targets: Tensor) -> float | None:
    """The temperature T of the least negative log-likelihood of softmax(z / T), or of sigmoid(z / T) over all labels.

    In 1/T the likelihood is convex, so that the root of its derivative is all there is to find, by bisection.

    Args:
        logits: `[N,C]`.
        targets: `[N]`, or `[N,C]`.

    Returns:
        The temperature. `None` where the rows do not tell: the likelihood grows with 1/T without end where every row
        is answered rightly, and is best at 1/T = 0 where scores say less than nothing.
    """
    beyond, right = _choices(logits.double(), targets)
    beyond = beyond - beyond.gather(1, right[:, None])  # by how much each class is above the right one
    size = float(beyond.abs().max()) if beyond.numel() else 0.0
    if not float(beyond.amax(1).sum()) > 0:
        return None
    beyond = beyond / size

    def slope(factor: float) -> float:
        return float(((factor * beyond).softmax(1) * beyond).sum())

    if not slope(_FLATTEST) < 0:  # the very sum that the search halves towards: another one rounds otherwise
        return None
    low = high = 1.0
    while slope(low) > 0:
        low /= 2
    while slope(high) < 0:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(size / ((low * high) ** 0.5))


def _choices(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits as choices of one, and which is right: a label of many is a choice between 0 and its logit."""
    if targets.dim() == 1:
        return logits, targets
    pairs = torch.stack([torch.zeros_like(logits), logits], -1)
    return pairs.flatten(0, 1), targets.flatten().long()


def fit_vector(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A factor w and a summand b for each class, that make the likelihood of softmax(w ∘ z + b) largest.

    For any number of labels it is sigmoid, and each label is by itself (Platt 1999). What is minimised is the negative
    log-likelihood, summed, and ½(‖w − 1‖² + ‖b‖²): a prior so wide that a few dozen rows outweigh it, without which a
    class that the rows lack, or that they never get wrong, would be ruled out for good. It is strictly convex; the
    method is Newton's with a line search.

    Args:
        logits: `[N,C]`.
        targets: `[N]`, or `[N,C]`.

    Returns:
        w and b, float64 `[C]`.
    """
    logits, classes = logits.double(), logits.shape[1]
    start = torch.cat([torch.ones(classes), torch.zeros(classes)]).double()
    found, state = start, _likelihood(start, start, logits, targets)
    for _ in range(_STEPS):
        step = torch.linalg.solve(state.curvature, state.slope)
        size = 1.0
        while True:
            tried = _likelihood(found - size * step, start, logits, targets)
            if tried.value <= state.value - 1e-4 * size * float(step @ state.slope) or size < _TOLERANCE:
                break
            size /= 2
        if tried.value > state.value:
            break  # rounding is all that is left
        found, state = found - size * step, tried
        if float((size * step).abs().max()) <= _TOLERANCE * (1 + float(found.abs().max())):
            break
    return found[:classes], found[classes:]


class _State(NamedTuple):
    value: float
    slope: Tensor
    curvature: Tensor


def _likelihood(found: Tensor, start: Tensor, logits: Tensor, targets: Tensor) -> _State:
    """What is minimised at `[2C]`, its gradient `[2C]` and its Hessian `[2C,2C]`."""
    factors, summands = found.chunk(2)
    scaled = logits * factors + summands
    if targets.dim() == 1:
        value = functional.cross_entropy(scaled, targets, reduction="sum")
        probabilities = scaled.softmax(1)
        surplus = probabilities - functional.one_hot(targets, logits.shape[1])
        weights = probabilities
    else:
        value = functional.binary_cross_entropy_with_logits(scaled, targets.double(), reduction="sum")
        probabilities = scaled.sigmoid()
        surplus = probabilities - targets.double()
        weights = probabilities * (1 - probabilities)
    slope = torch.cat([(surplus * logits).sum(0), surplus.sum(0)])
    blocks = [(weights * logits**power).sum(0).diag() for power in (2, 1, 0)]
    curvature = torch.cat([torch.cat(blocks[:2], 1), torch.cat(blocks[1:], 1)])
    if targets.dim() == 1:
        both = torch.cat([probabilities * logits, probabilities], 1)
        curvature = curvature - both.T @ both
    pull = found - start
    value = value + (pull @ pull) / 2
    return _State(float(value), slope + pull, curvature + torch.eye(len(found), dtype=torch.float64))
