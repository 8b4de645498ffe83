"""What lies between a network's scores and its answers: chosen once on held-out rows, and kept with the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from lightning_clf.cascade import Cascade
from lightning_clf.labels import LabelSpace
from lightning_clf.prediction import Prediction
from lightning_clf.primitives import Part, check_stored

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Scaling(Part):
    """How logits z are calibrated: `scale ∘ z / temperature + bias`.

    Attributes:
        temperature: One divisor for all classes (Guo et al. 2017); 1 where there is a scale.
        scale: A factor a class, of vector scaling; empty where there is a temperature.
        bias: A summand a class, likewise.
        in_weights: Whether the network's last layer has it already, so that its logits are calibrated as they come.
    """

    temperature: float = 1.0
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()
    in_weights: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be applied."""
        check_stored("temperature", self.temperature, above=0.0)
        for name, values in (("scale", self.scale), ("bias", self.bias)):
            if not isinstance(values, tuple):
                raise ValueError(f"{name} is {values!r}, not a list of numbers")
            for value in values:
                check_stored(name, value)
        if len(self.scale) != len(self.bias):
            raise ValueError(f"scale has {len(self.scale)} numbers, and bias {len(self.bias)}")
        if type(self.in_weights) is not bool:
            raise ValueError(f"in_weights is {self.in_weights!r}, not true or false")

    def apply(self, scores: Tensor) -> Tensor:
        """Calibrated logits, from logits `[…,C]`, in float32 at least."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32)) / self.temperature
        if not self.scale:
            return scores
        return scores * scores.new_tensor(self.scale) + scores.new_tensor(self.bias)


@dataclass(frozen=True)
class LabelSets(Part):
    """Sets of labels that hold the right one in a chosen share of cases: split conformal prediction.

    Attributes:
        level: The share.
        quantile: A label is in the set if 1 − its probability is no more than this.
    """

    level: float
    quantile: float

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        check_stored("level", self.level, above=0.0, most=1.0)
        check_stored("quantile", self.quantile, least=0.0, most=1.0)

    def members(self, probabilities: Tensor) -> Tensor:
        """Which labels are in the set, bool `[B,C]`, from probabilities `[B,C]`."""
        return probabilities >= 1 - self.quantile


@dataclass(frozen=True)
class Choice(Part):
    """How one part of a decision was chosen.

    Attributes:
        part: Which part: `scaling`, `thresholds`, `abstention`, `label_sets` or `cascade`.
        target: What was aimed at, such as `nll`, `precision=0.9` or `risk<=0.05`.
        metric: The number that was watched.
        before: Its value on the held-out rows without the part.
        after: Its value on the same rows with it.
        rows: How many rows there were; of tags, how many words.
    """

    part: str
    target: str
    metric: str
    before: float
    after: float
    rows: int

    def __post_init__(self) -> None:
        """Refuse what is no account of a choice."""
        for name in ("part", "target", "metric"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}, not a string")
        check_stored("before", self.before)
        check_stored("after", self.after)
        if type(self.rows) is not int or self.rows < 1:
            raise ValueError(f"rows is {self.rows!r}, not a whole number from 1 up")


@dataclass(frozen=True)
class Decision:
    """Everything between scores and answers that a network's own head does not say.

    Attributes:
        scaling: How logits are calibrated; `None` leaves them.
        thresholds: For labels of kind `multi`, the probability from which each is given, by its name; `None` is ½ for
            all.
        abstention: For labels of kind `single`, a row whose chosen label is no more probable than this is marked
            `abstained`; `None` marks none.
        label_sets: For labels of kind `single`, how sets of labels are made; `None` makes none.
        chosen_by: How each part was chosen.
        cascade: For labels of the kinds `single` and `multi`, below which confidence a language model is asked, by who
            is told to ask it; `None` asks none.
    """

    scaling: Scaling | None = None
    thresholds: Mapping[str, float] | None = None
    abstention: float | None = None
    label_sets: LabelSets | None = None
    chosen_by: tuple[Choice, ...] = field(default=())
    cascade: Cascade | None = None

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        for name, value in (self.thresholds or {}).items():
            check_stored(f"the threshold of {name!r}", value, least=0.0, most=1.0)
        if self.abstention is not None:
            check_stored("abstention", self.abstention, least=0.0, most=1.0)

    def check(self, labels: LabelSpace) -> None:
        """Hold the decision against the labels it is to be made about.

        Raises:
            ValueError: If it is about others, or about another kind.
        """
        scaling, count = self.scaling, len(labels)
        if scaling is not None and labels.kind == "score":
            raise ValueError("a score has no probabilities to calibrate")
        if scaling is not None and scaling.scale and len(scaling.scale) != count:
            raise ValueError(f"scale has {len(scaling.scale)} numbers for {count} labels")
        if self.thresholds is not None and (labels.kind != "multi" or list(self.thresholds) != list(labels.names)):
            raise ValueError(f"thresholds of {', '.join(self.thresholds)} stand with the labels {labels.shown}")
        if labels.kind != "single" and (self.abstention is not None or self.label_sets is not None):
            raise ValueError(f"abstention and label_sets are for labels of kind single, and these are {labels.kind}")
        if self.cascade is not None and labels.kind not in ("single", "multi"):
            raise ValueError(f"a cascade is for labels of kind single or multi, and these are {labels.kind}")

    def scaled(self, scores: Tensor) -> Tensor:
        """Calibrated logits, from the network's, `[…,C]`."""
        return scores if self.scaling is None or self.scaling.in_weights else self.scaling.apply(scores)

    def decide(self, prediction: Prediction) -> Prediction:
        """What a head decoded of calibrated logits, decided anew where this says so."""
        indices, probabilities = prediction.indices, prediction.probabilities
        if indices is None or probabilities is None:
            return prediction
        changed: dict[str, Tensor] = {}
        if self.thresholds is not None:
            changed["indices"] = (probabilities >= probabilities.new_tensor([*self.thresholds.values()])).long()
        if self.abstention is not None:
            changed["abstained"] = probabilities.gather(1, indices[:, None]).squeeze(1) <= self.abstention
        if self.label_sets is not None:
            changed["label_sets"] = self.label_sets.members(probabilities)
        return dataclasses.replace(prediction, **changed)

    def to_dict(self) -> dict[str, Any]:
        """The decision in primitives, for checkpoints and exports: the parts that there are."""
        parts = {
            "scaling": self.scaling and self.scaling.to_dict(),
            "thresholds": None if self.thresholds is None else dict(self.thresholds),
            "abstention": self.abstention,
            "label_sets": self.label_sets and self.label_sets.to_dict(),
            "cascade": self.cascade and self.cascade.to_dict(),
            "chosen_by": [choice.to_dict() for choice in self.chosen_by] or None,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Decision:
        """The decision that `to_dict` wrote.

        Raises:
            ValueError: If it is none.
        """
        known = {entry.name for entry in dataclasses.fields(cls)}
        if unknown := [name for name in stored if name not in known]:
            raise ValueError(f"the decision has a part {unknown[0]!r}, which this version does not know")
        thresholds, chosen = stored.get("thresholds"), stored.get("chosen_by", [])
        if thresholds is not None and not isinstance(thresholds, dict):
            raise ValueError(f"thresholds is {thresholds!r}, not a mapping from labels to numbers")
        if not isinstance(chosen, list):
            raise ValueError(f"chosen_by is {chosen!r}, not a list")
        return cls(
            scaling=_read(Scaling, stored, "scaling"),
            thresholds=thresholds,
            abstention=stored.get("abstention"),
            label_sets=_read(LabelSets, stored, "label_sets"),
            chosen_by=tuple(Choice.from_dict(choice, "chosen_by") for choice in chosen),
            cascade=_read(Cascade, stored, "cascade"),
        )


def _read(part: type[P], stored: Mapping[str, Any], name: str) -> P | None:
    return part.from_dict(stored[name], name) if name in stored else None
