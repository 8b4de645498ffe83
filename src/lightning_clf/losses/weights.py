"""Weights for classes, from how often they occur or as a user names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log
from typing import get_args

import torch
from torch import Tensor

from lightning_clf.counts import BETA, Strategy
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace

ClassWeights = Strategy | list[float] | dict[str, float]


def class_weights(strategy: Strategy, counts: Sequence[int], beta: float = BETA) -> Tensor:
    """Weights for classes by their frequency.

    `inverse` is n/(C·nᵢ), scikit-learn's "balanced"; `sqrt_inverse` is 1/√nᵢ scaled to a mean of 1; `effective` is
    (1−β)/(1−β^nᵢ) scaled to a mean of 1 (Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples").

    Args:
        strategy: The name of the formula.
        counts: nᵢ, how often each of the C classes occurs in train. A class that does not occur gets weight 0, and
            counts for C but not for the mean.
        beta: β of `effective`, from 0 to 1: 0 weighs all alike, and 1 stands for the limit, which is 1/nᵢ.

    Returns:
        Weights `[C]`, float32.

    Raises:
        InputError: If there is no such strategy.
    """
    check_strategy(strategy)
    count = torch.tensor(list(counts), dtype=torch.float64)
    present = count > 0
    safe = count.clamp(min=1)
    if strategy == "inverse":
        weights = count.sum() / (len(count) * safe) * present
    elif strategy == "sqrt_inverse":
        weights = to_mean_of_one(safe.rsqrt(), present)
    else:
        weights = effective_weights(count, beta)
    return weights.float()


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """(1−β)/(1−β^nᵢ) scaled to a mean of 1 over the classes that occur, in the precision of the counts.

    Args:
        counts: nᵢ `[C]`, of a float type; a class that does not occur gets weight 0.
        beta: β, from 0 to 1.

    Returns:
        Weights `[C]`.
    """
    safe = counts.clamp(min=1)
    if beta == 1:
        raw = 1 / safe
    elif beta == 0:
        raw = torch.ones_like(safe)
    else:
        raw = (1 - beta) / -torch.expm1(safe * log(beta))  # exact too where β is so close to 1 that 1−β^n cancels
    return to_mean_of_one(raw, counts > 0)


def to_mean_of_one(weights: Tensor, present: Tensor) -> Tensor:
    """Weights `[C]` scaled to a mean of 1 over the classes that are present, bool `[C]`, and 0 for the others."""
    weights = weights * present
    total = weights.sum()
    return torch.where(total > 0, weights * (present.sum() / total), weights)


def declared_weights(weights: Sequence[float] | Mapping[str, float], labels: LabelSpace, key: str) -> Tensor:
    """Weights as a user wrote them: one number a class in the labels' order, or a mapping by label name.

    A label the mapping does not name weighs 1.

    Raises:
        InputError: If there are too many or too few, a label is unknown, or a weight is negative or not finite.
    """
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in labels.names:
                raise InputError(
                    f"{key} names label {name!r}, which is not one of: {', '.join(labels.names)}: correct it or leave "
                    "it out"
                )
        values = [float(weights.get(name, 1.0)) for name in labels.names]
    else:
        values = [float(value) for value in weights]
        if len(values) != len(labels):
            raise InputError(
                f"{key} has {len(values)} numbers for {len(labels)} labels: give one for each, in this order: "
                f"{', '.join(labels.names)}"
            )
    tensor = torch.tensor(values)
    for name, value, weight in zip(labels.names, values, tensor.tolist(), strict=True):
        if not 0 <= weight < inf:
            raise InputError(f"{key} gives label {name!r} the weight {value:g}: give it a finite number of 0 or more")
    if not tensor.any():
        raise InputError(f"{key} is 0 for every label, so that nothing would be learned: give one a weight")
    return tensor


def check_beta(beta: float, weights: object) -> float:
    """Hold β against its bounds, and against the strategy that alone reads it.

    Raises:
        InputError: If it is out of bounds, or given to weights that have no β.
    """
    check_number("beta", beta, least=0, most=1)
    if beta != BETA and weights != "effective":
        raise InputError(f"beta is {beta:g}, but only class_weights: effective reads it: set that, or leave beta out")
    return beta


def check_strategy(weights: object) -> None:
    """Refuse a name that is of no strategy.

    Raises:
        InputError: If weights are to be computed, but it does not say by which formula there is, or a mapping has keys
            that are no names.
    """
    if isinstance(weights, Mapping):
        for name in weights:
            if not isinstance(name, str):
                raise InputError(f"class_weights has the key {name!r}, which is no text: put names of labels in quotes")
    if isinstance(weights, str) and weights not in get_args(Strategy):
        raise InputError(f"class_weights {weights!r} is unknown: use one of {', '.join(get_args(Strategy))}")
