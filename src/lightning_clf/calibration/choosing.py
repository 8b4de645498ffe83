"""A whole decision from held-out logits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lightning_clf.calibration.abstention import threshold_for_coverage, threshold_for_risk
from lightning_clf.calibration.label_sets import conformal_quantile
from lightning_clf.calibration.measures import Measures, measure
from lightning_clf.calibration.scaling import fit_temperature, fit_vector
from lightning_clf.calibration.thresholds import Target, fit_thresholds
from lightning_clf.decision import Choice, Decision, LabelSets, Scaling
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import MultiLabelScores

Method = Literal["temperature", "vector", "none"]
_LEAST_USUAL, _MOST_USUAL = 0.1, 10.0  # temperatures of networks that learned what the rows are labelled by
_BEST = {"f1": "f1_macro", "precision": "recall_macro", "recall": "precision_macro", "cost": "cost"}


@dataclass(frozen=True)
class Wanted:
    """What a decision is to have.

    Attributes:
        method: How logits are scaled.
        thresholds: What thresholds of labels are for; `None` chooses none.
        max_risk: The share of errors that answers may have where the model does not abstain; `None` asks for none.
        coverage: The share of rows that are to be answered; `None` asks for none.
        level: How often a set of labels is to hold the right one; `None` makes no sets.
    """

    method: Method = "temperature"
    thresholds: Target | None = None
    max_risk: float | None = None
    coverage: float | None = None
    level: float | None = None

    def check(self, labels: LabelSpace) -> None:
        """Hold what is wanted against the labels it is wanted for.

        Raises:
            InputError: If they are of a kind that cannot have it, a share is none, or nothing is wanted.
        """
        if labels.kind == "score":
            raise InputError(
                "the model answers with scores, which have no probabilities: there is nothing to calibrate"
            )
        if self.thresholds is not None and labels.kind != "multi":
            raise InputError(
                f"thresholds are for any number of labels, and this model has kind {labels.kind}: drop them"
            )
        abstains = self.max_risk is not None or self.coverage is not None
        if (abstains or self.level is not None) and labels.kind != "single":
            raise InputError(
                "abstention and label sets are for one label a text, and this model has kind "
                f"{labels.kind}: leave them out"
            )
        if self.max_risk is not None and self.coverage is not None:
            raise InputError("a risk and a coverage cannot both be kept: give one of them")
        for name, share in (("risk", self.max_risk), ("coverage", self.coverage), ("level", self.level)):
            if share is not None and not (0 < share < 1 or (name == "coverage" and share == 1)):
                raise InputError(f"the {name} is {share:g}: give a share above 0 and below 1, such as 0.05 or 0.9")
        if self == Wanted(method="none"):
            raise InputError("nothing is to be calibrated: choose a method, thresholds, abstention or label sets")


@dataclass
class Outcome:
    """A decision, and what it changes.

    Attributes:
        decision: The decision.
        before: The probabilities as they were.
        after: The probabilities as they are.
        rows: How many both were measured on.
        unit: What they are: `rows`, or of tags `words`.
        unseen: Whether these are rows that the scaling was not fitted to.
        remarks: What whoever asked for it should know.
    """

    decision: Decision
    before: Measures
    after: Measures
    rows: int
    unit: str
    unseen: bool
    remarks: list[str] = field(default_factory=list)


def choose(labels: LabelSpace, logits: Tensor, targets: Tensor, wanted: Wanted, seed: int = 0) -> Outcome:
    """Choose a decision on held-out rows.

    What a risk or a level promises holds for a network that was not fitted to the rows it was found on. So where one is
    asked for and logits are scaled too, they are scaled by one half of the rows, drawn at random, and the other half
    serves the promise.

    Args:
        labels: The label space, of a kind that `Wanted.check` lets pass.
        logits: `[N,C]`, N at least 1.
        targets: `[N]`, or `[N,C]`.
        wanted: What the decision is to have.
        seed: Which half is which.

    Raises:
        InputError: If no threshold keeps the risk.
    """
    logits = logits.double()
    unseen = wanted.method != "none" and (wanted.max_risk is not None or wanted.level is not None)
    fitted = kept = torch.arange(len(logits))
    if unseen:
        order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
        fitted, kept = order[: len(order) // 2].sort().values, order[len(order) // 2 :].sort().values
    remarks: list[str] = []
    scaling, choices = _scaling(logits[fitted], targets[fitted], wanted, remarks)
    raw, right = logits[kept], targets[kept]
    calibrated = raw if scaling is None else scaling.apply(raw)
    thresholds, abstention, label_sets = None, None, None
    if wanted.thresholds is not None:
        thresholds, choice = _thresholds(labels, raw, calibrated, right, wanted.thresholds, remarks)
        choices.append(choice)
    if wanted.max_risk is not None or wanted.coverage is not None:
        abstention, more = _abstention(calibrated, right, wanted)
        choices += more
    if wanted.level is not None:
        label_sets, more = _label_sets(calibrated, right, wanted.level, remarks)
        choices += more
    decision = Decision(scaling, thresholds, abstention, label_sets, tuple(choices))
    unit = "words" if labels.kind == "tags" else "rows"
    return Outcome(decision, measure(raw, right), measure(calibrated, right), len(raw), unit, unseen, remarks)


def _scaling(
    logits: Tensor, targets: Tensor, wanted: Wanted, remarks: list[str]
) -> tuple[Scaling | None, list[Choice]]:
    if wanted.method == "none":
        return None, []
    if wanted.method == "vector":
        scale, bias = fit_vector(logits, targets)
        scaling = Scaling(scale=tuple(scale.tolist()), bias=tuple(bias.tolist()))
    else:
        temperature = fit_temperature(logits, targets)
        if temperature is None:
            remarks.append(
                "the rows do not tell a temperature, as all are answered rightly, or worse than by chance: it stays 1"
            )
            return None, []
        if temperature < _LEAST_USUAL:
            remarks.append(
                f"the temperature is {temperature:.4g}: the model is far less sure than it is right, as after a short "
                "training; a longer one may make more of it"
            )
        if temperature > _MOST_USUAL:
            remarks.append(
                f"the temperature is {temperature:.4g}: the model's scores say next to nothing of what is right; look "
                "at the model, or at the labels of the rows"
            )
        scaling = Scaling(temperature)
    if not len(logits):
        return scaling, []
    before, after = measure(logits, targets).nll, measure(scaling.apply(logits), targets).nll
    return scaling, [Choice("scaling", wanted.method, "nll", before, after, len(logits))]


def _thresholds(
    labels: LabelSpace, raw: Tensor, calibrated: Tensor, right: Tensor, target: Target, remarks: list[str]
) -> tuple[dict[str, float], Choice]:
    probabilities = calibrated.float().sigmoid()  # as they will be compared
    fitted = fit_thresholds(probabilities, right, target)
    for places, said in (
        (fitted.missing, "no row has the label {}: the threshold stays 0.5"),
        (fitted.short, f"{target.name} {target.value:g} is reached nowhere for the label {{}}: the nearest was taken"),
    ):
        remarks += [said.format(repr(labels.names[place])) for place in places]
    metric = _BEST[target.name]
    before = _score(labels, raw.float().sigmoid() >= 0.5, right, target)[metric]
    after = _score(labels, probabilities >= torch.tensor(fitted.values), right, target)[metric]
    thresholds = dict(zip(labels.names, fitted.values, strict=True))
    return thresholds, Choice("thresholds", target.text, metric, before, after, len(right))


def _score(labels: LabelSpace, chosen: Tensor, right: Tensor, target: Target) -> dict[str, float]:
    scores = MultiLabelScores(labels)
    scores.update(chosen, right)
    wrong, missed = target.costs
    cost = wrong * (chosen & ~right).sum() + missed * (~chosen & right).sum()
    return {name: float(value) for name, value in scores.compute().items()} | {"cost": float(cost) / len(right)}


def _abstention(calibrated: Tensor, right: Tensor, wanted: Wanted) -> tuple[float, list[Choice]]:
    confidences, hits = calibrated.float().softmax(1).max(1).values, calibrated.argmax(1) == right
    if wanted.max_risk is not None:
        target = f"risk<={wanted.max_risk:g}"
        threshold = threshold_for_risk(confidences, hits, wanted.max_risk)
        if threshold is None:
            raise InputError(
                f"no confidence keeps the risk at {wanted.max_risk:g}, as far as {len(hits)} rows can tell, of which "
                f"{int((~hits).sum())} are answered wrongly: allow a higher risk, or give more rows"
            )
    else:
        assert wanted.coverage is not None
        target = f"coverage>={wanted.coverage:g}"
        threshold = threshold_for_coverage(confidences, wanted.coverage)
    answered = confidences > threshold
    return threshold, _choices(
        "abstention",
        target,
        len(hits),
        risk=(_share(~hits), _share(~hits[answered])),
        coverage=(1.0, _share(answered)),
    )


def _label_sets(calibrated: Tensor, right: Tensor, level: float, remarks: list[str]) -> tuple[LabelSets, list[Choice]]:
    probabilities = calibrated.float().softmax(1)
    sets = LabelSets(level, conformal_quantile(probabilities, right, level))
    if sets.quantile == 1:
        remarks.append(
            f"too few rows ({len(right)}) for sets that are right {level:g} of the time: they hold all labels"
        )
    members = sets.members(probabilities)
    return sets, _choices(
        "label_sets",
        f"level={level:g}",
        len(right),
        coverage=(_share(calibrated.argmax(1) == right), _share(members.gather(1, right[:, None]))),
        size=(1.0, float(members.sum(1).double().mean())),
    )


def _choices(part: str, target: str, rows: int, **metrics: tuple[float, float]) -> list[Choice]:
    return [Choice(part, target, metric, before, after, rows) for metric, (before, after) in metrics.items()]


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())
