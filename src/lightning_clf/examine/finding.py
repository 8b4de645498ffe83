"""What an examination says: one line a fact, with what to do where something is amiss."""

from __future__ import annotations

from typing import Literal, NamedTuple

from lightning_clf.errors import printable

Level = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: `ok`; `warning` for what a fit would run with, to its harm; `error` for what it cannot or should not.
        check: What was looked at, such as `truncation`.
        found: What was found, in one line.
        advice: What to do about it; empty where there is nothing to do.
    """

    level: Level
    check: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        """The finding as a line to read."""
        line = f"{self.level:<7}  {self.check}: {self.found}" + (f": {self.advice}" if self.advice else "")
        return printable(line)
