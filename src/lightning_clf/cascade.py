"""When a language model is asked in a classifier's place: what was chosen, as checkpoints and exports hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lightning_clf.primitives import Part, check_stored


@dataclass(frozen=True)
class Curve(Part):
    """What each threshold came to on the held-out rows, from the one by which none is asked about to that of all.

    Attributes:
        thresholds: The thresholds, rising.
        asked: The share of rows that the language model is asked about by each.
        risk: The share of rows that are answered wrongly by each, whoever answers.
    """

    thresholds: tuple[float, ...]
    asked: tuple[float, ...]
    risk: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        for name in ("thresholds", "asked", "risk"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) != len(self.thresholds) or not values:
                raise ValueError(f"{name} is {values!r}, not as many numbers as there are thresholds")
            for value in values:
                check_stored(name, value, least=0.0, most=1.0)


@dataclass(frozen=True)
class Cascade(Part):
    """A language model behind a classifier. It is data: nothing is sent anywhere because a folder holds it.

    Attributes:
        threshold: A row whose answer is no more probable than this is asked about.
        endpoint: Where the language model was asked when the threshold was chosen. Who follows the policy names the
            address again.
        language_model: Which it was.
        prompt: What it is told before the text.
        price_per_call: What asking about one row costs.
        price_per_error: What one row that is answered wrongly costs, in the same currency.
        curve: What other thresholds came to.
    """

    parts: ClassVar[Mapping[str, type[Part]]] = {"curve": Curve}

    threshold: float
    endpoint: str
    language_model: str
    prompt: str
    price_per_call: float
    price_per_error: float
    curve: Curve

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        check_stored("threshold", self.threshold, least=0.0, most=1.0)
        for name in ("price_per_call", "price_per_error"):
            check_stored(name, getattr(self, name), least=0.0)
        for name in ("endpoint", "language_model", "prompt"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}, not a string")

    @property
    def asks_none(self) -> bool:
        """Whether asking never paid, so that the threshold is below any confidence."""
        return self.threshold == self.curve.thresholds[0]

    def asks(self, confidence: float) -> bool:
        """Whether the language model is asked about a row that the classifier is so sure of."""
        return confidence <= self.threshold

    def cost(self, asked: float, risk: float) -> float:
        """What a row costs where these shares of rows are asked about and answered wrongly."""
        return self.price_per_call * asked + self.price_per_error * risk
