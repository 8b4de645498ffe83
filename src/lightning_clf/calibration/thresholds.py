"""From which probability on each label of many is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from lightning_clf.errors import InputError

_EVEN = 0.5


@dataclass(frozen=True)
class Target:
    """What the thresholds of labels are chosen for.

    Attributes:
        name: `f1`: the largest F1. `precision`: the largest recall at a precision of at least `value`. `recall`: the
            largest precision at a recall of at least `value`. `cost`: the least cost.
        value: The least precision or recall.
        costs: What a label given wrongly costs, and what one left out wrongly does.
    """

    name: Literal["f1", "precision", "recall", "cost"]
    value: float = 0.0
    costs: tuple[float, float] = (1.0, 1.0)

    @property
    def text(self) -> str:
        """The target as `parse` takes it."""
        match self.name:
            case "f1":
                return "f1"
            case "cost":
                return "cost={:g}:{:g}".format(*self.costs)
        return f"{self.name}={self.value:g}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """A target as the command takes it: `f1`, `precision=0.9`, `recall=0.9` or `cost=FP:FN`.

        Raises:
            InputError: If it is none.
        """
        name, _, value = text.partition("=")
        try:
            if text == "f1":
                return cls("f1")
            if name == "precision" and 0 < float(value) <= 1:
                return cls("precision", float(value))
            if name == "recall" and 0 < float(value) <= 1:
                return cls("recall", float(value))
            if name == "cost":
                costs = tuple(map(float, value.split(":")))
                if len(costs) == 2 and all(0 <= cost < float("inf") for cost in costs) and sum(costs) > 0:
                    return cls("cost", costs=costs)
        except ValueError:
            pass
        raise InputError(
            f"thresholds {text!r} name no target: give f1, precision=0.9, recall=0.9, or cost=FP:FN such as cost=1:5, "
            "what a label given wrongly costs and what one left out wrongly does"
        )


class Fitted(NamedTuple):
    """The thresholds of C labels.

    Attributes:
        values: C thresholds.
        missing: Which labels no row has, by place: nothing is known of them, and they keep ½.
        short: Which labels reach the precision or the recall nowhere; theirs is the threshold that comes nearest.
    """

    values: list[float]
    missing: list[int]
    short: list[int]


def fit_thresholds(probabilities: Tensor, targets: Tensor, target: Target) -> Fitted:
    """The threshold of each label that is best for a target on these rows.

    Every way to cut the ordered rows in two is tried; of equally good ones that is taken which gives the label least
    often. A threshold lies amid the two probabilities it parts.

    Args:
        probabilities: `[N,C]`.
        targets: Which labels are right, bool `[N,C]`.
        target: What is to be good.
    """
    fitted = Fitted([], [], [])
    for label in range(probabilities.shape[1]):
        right = targets[:, label].bool()
        if not right.any():
            fitted.missing.append(label)
            fitted.values.append(_EVEN)
            continue
        cuts = _cuts(probabilities[:, label].float(), right)
        good, better, reached = _goodness(cuts, int(right.sum()), target)
        if not reached:
            fitted.short.append(label)
        best = good == good.max()
        fitted.values.append(float(cuts.thresholds[better.masked_fill(~best, -torch.inf).argmax()]))
    return fitted


class _Cuts(NamedTuple):
    """K ways to part rows, from those that give a label least often on: at which threshold, how often, how rightly."""

    thresholds: Tensor
    chosen: Tensor
    hits: Tensor


def _cuts(probabilities: Tensor, right: Tensor) -> _Cuts:
    """Every cut of one label's rows, in float32, which is what probabilities will be compared in."""
    ordered, order = probabilities.sort(descending=True)
    above = torch.cat([torch.ones(1), ordered])
    below = torch.cat([ordered, torch.tensor([-1.0])])
    middle = ((above.double() + below.clamp(min=0).double()) / 2).float()
    thresholds = torch.where(middle > below, middle, above)  # between neighbours there is no float
    hits = torch.cat([torch.zeros(1), right[order].float()]).double().cumsum(0)
    parted = above > below
    return _Cuts(thresholds[parted], torch.arange(len(above)).double()[parted], hits[parted])


def _goodness(cuts: _Cuts, positives: int, target: Target) -> tuple[Tensor, Tensor, bool]:
    """How good each cut is, first and second, float64 `[K]`; and whether any is good enough."""
    chosen, hits = cuts.chosen, cuts.hits
    precision, recall = hits / chosen.clamp(min=1), hits / positives
    match target.name:
        case "f1":
            return 2 * hits / (chosen + positives), precision, True
        case "cost":
            wrong, missed = target.costs
            return -(wrong * (chosen - hits) + missed * (positives - hits)), precision, True
        case "precision":
            kept, other = precision, recall
        case "recall":
            kept, other = recall, precision
    enough = kept >= target.value - 1e-12
    if not enough.any():
        return kept, other, False
    return other.masked_fill(~enough, -1.0), kept, True
