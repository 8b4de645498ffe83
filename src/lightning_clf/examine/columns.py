"""What the columns of a file hold, as far as a guess of the task goes by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from lightning_clf.data.split import Split

_FLAGS = ("0", "1", "false", "true")  # what SequenceDataModule takes in label_columns
NO_VALUES = ("NaN", "nan", "NA", "N/A", "#N/A", "<NA>", "NULL", "null", "None")
"""Words that programs write where there is no value."""
_MOST = 10_000  # different values that are kept apart


@dataclass
class Column:
    """One column, over all rows of a split.

    Attributes:
        name: Its name.
        values: Different values and how often each occurs, the first 10,000; items of lists are counted one by one.
        cells: How many cells are not empty.
        empty: How many are: null, no text, or an empty list.
        words: How many words all texts have.
        sizes: How long the list in each cell is, where all are lists.
        is_lists: Whether every cell that is not null holds a list.
        is_texts: Whether every cell that is not null holds text.
    """

    name: str
    values: dict[Hashable, int] = field(default_factory=dict)
    cells: int = 0
    empty: int = 0
    words: int = 0
    sizes: list[int] = field(default_factory=list)
    is_lists: bool = True
    is_texts: bool = True

    def add(self, value: Any) -> None:
        """Take in the next cell."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            self.empty += 1
            self.sizes.append(-1)
            return
        self.is_lists &= isinstance(value, list)
        self.is_texts &= isinstance(value, str)
        self.sizes.append(len(value) if isinstance(value, list) else -1)
        if value == [] or (isinstance(value, str) and not value.strip()):
            self.empty += 1
            return
        self.cells += 1
        if isinstance(value, str):
            self.words += len(value.split())
        for item in value if isinstance(value, list) else [value]:
            key = item.strip() if isinstance(item, str) else item if isinstance(item, int | float) else repr(item)
            if key in self.values or len(self.values) < _MOST:
                self.values[key] = self.values.get(key, 0) + 1

    @property
    def mean_words(self) -> float:
        """How many words a text has on average."""
        return self.words / max(1, self.cells)

    @property
    def is_distinct(self) -> bool:
        """Whether no value occurs twice, as those of an identifier."""
        return len(self.values) == self.cells or len(self.values) == _MOST

    @property
    def known(self) -> list[Hashable]:
        """Different values, without words for none."""
        return [value for value in self.values if value not in NO_VALUES]

    @property
    def gaps(self) -> int:
        """How many cells are empty, or hold a word for that."""
        return self.empty + sum(self.values.get(word, 0) for word in NO_VALUES)

    @property
    def is_flags(self) -> bool:
        """Whether every cell that has a value holds 0 or 1."""
        return self._all(lambda value: str(value).strip().removesuffix(".0").lower() in _FLAGS)

    @property
    def is_numbers(self) -> bool:
        """Whether every cell that has a value holds a number."""
        return self._all(lambda value: number_in(value) is not None)

    @property
    def is_whole(self) -> bool:
        """Whether they are whole numbers."""
        return self._all(lambda value: (number := number_in(value)) is not None and number.is_integer())

    def _all(self, test: Callable[[Any], bool]) -> bool:
        known = self.known
        return not (self.is_lists and self.cells) and bool(known) and all(map(test, known))


def number_in(value: Any) -> float | None:
    """The number that a cell holds as such or as text; `None` if it holds none, or one that is not finite."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def survey(split: Split) -> dict[str, Column]:
    """Read through a split.

    Raises:
        InputError: If a row cannot be read.
    """
    columns: dict[str, Column] = {}
    for _, row in split.rows():
        for name, value in row.items():
            columns.setdefault(name, Column(name)).add(value)
    return columns
