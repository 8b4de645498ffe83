"""What replies cost."""

from __future__ import annotations

from dataclasses import dataclass

_MILLION = 1_000_000


@dataclass(frozen=True)
class Usage:
    """What was asked and replied.

    Attributes:
        calls: Replies.
        tokens_in: Tokens of the requests.
        tokens_out: Tokens of the replies.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.calls - other.calls, self.tokens_in - other.tokens_in, self.tokens_out - other.tokens_out)


@dataclass(frozen=True)
class Prices:
    """What a million tokens cost, in whatever currency.

    Attributes:
        of_input: Of requests.
        of_output: Of replies.
    """

    of_input: float = 0.0
    of_output: float = 0.0

    def of(self, usage: Usage) -> float:
        """The price of what was used."""
        return (usage.tokens_in * self.of_input + usage.tokens_out * self.of_output) / _MILLION


@dataclass(frozen=True)
class Budget:
    """How much may be spent.

    Attributes:
        prices: What it is counted with.
        limit: The most that all replies of a journal may cost together.
    """

    prices: Prices
    limit: float
