"""From a row to an example: what every task asks of its rows, and the parts that are the same in each."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_clf.data.lines import Row
from lightning_clf.data.split import Split
from lightning_clf.encoding import Tokenizer
from lightning_clf.errors import InputError, a_type
from lightning_clf.labels import LabelSpace

UNLABELLED = -1
"""What data sets on the hub write where they keep the label to themselves."""

_OF_LABELS = ("label_column", "label_columns", "tags_column")  # whose lack is no fault of rows to be answered


@dataclass(frozen=True)
class Example:
    """A validated row.

    Attributes:
        text: The text, or for tags the words.
        pair: The second text, of tasks on pairs.
        label: The label as the row has it, in the shape the task expects; `None` for a row without one.
        where: Where the row is, for messages.
        group: What rows share that are ranked together; `None` where none are.
    """

    text: str | list[str]
    pair: str | None
    label: Any
    where: str
    group: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        parts = self.text if isinstance(self.text, list) else [self.text, self.pair or ""]
        return not any(part.strip() for part in parts)


class RowFormat(ABC):
    """Which columns a task reads and what they may hold. Subclasses are frozen dataclasses of primitives.

    Attributes:
        symmetric: Whether pairs are read in both orders.
        group_column: The column whose value rows share that are ranked together, such as a question; `None` for none.
    """

    symmetric: bool = False
    group_column: str | None = None

    @abstractmethod
    def read(self, row: Row, where: str) -> Example:
        """Check what a row has to be read, without its label.

        Raises:
            InputError: If a column is missing or holds something the task cannot use.
        """

    @abstractmethod
    def parse(self, row: Row, where: str) -> Example:
        """Check a row, its label included, without looking at other rows.

        Raises:
            InputError: If a column is missing or holds something the task cannot use.
        """

    @abstractmethod
    def target(self, example: Example, labels: LabelSpace) -> Any:
        """What the model should answer: a class index, a list of them, a score, or a tag index a word.

        Raises:
            InputError: If the label is not one of the label space.
        """

    @abstractmethod
    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], max_length: int, stride: int | None = None
    ) -> dict[str, list[Any]]:
        """Examples to columns of subword ids."""

    @abstractmethod
    def inputs(self) -> dict[str, str]:
        """The columns read, by role: `text`, `text_pair` and `group`, or `tokens`; `label` if it is no usual name."""

    def to_dict(self) -> dict[str, Any]:
        """The options in primitives, which are part of the cache's key."""
        return {"class": type(self).__qualname__} | dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]


def first_row(split: Split) -> Row:
    """The first row of a split, to see which columns there are.

    Raises:
        InputError: If none is of the task.
    """
    for _, row in split.rows():
        return row
    raise InputError(f"no row of {split.name} has a label for the task: name the column that its labels are in")


def pick_column(key: str, given: str | None, candidates: Sequence[str], row: Row, split: Split) -> str:
    """The column a user named, or the first of the usual names that the data have.

    Raises:
        InputError: If there is no such column.
    """
    if given is not None:
        candidates = [given]
    for column in candidates:
        if column in row:
            return column
    wanted = " or ".join(repr(column) for column in candidates)
    raise InputError(
        f"{split.name} has no column {wanted} (columns: {_columns(row)}): set data.{key} to the one to use"
    )


def missing_column(where: str, column: str, row: Row, key: str) -> InputError:
    """The error for a row without a column that the first row has, or that was named."""
    leave_out = (
        ", or name the other splits alone in data.source, as in {train: FILE, val: FILE}" if key in _OF_LABELS else ""
    )
    return InputError(
        f"{where} has no column {column} (columns: {_columns(row)}): correct the row, or set data.{key} if all rows "
        f"have another{leave_out}"
    )


def _columns(row: Row) -> str:
    return ", ".join(row) or "none"


class UnknownLabelError(InputError):
    """A row has a label that is none of the label space's."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(
            f"label {name!r} ({where}) is not in train nor data.labels: add it to data.labels or correct the row"
        )
        self.name, self.where = name, where

    def among(self, whose: str, remedy: str) -> InputError:
        """The same, where it is known whose the labels are."""
        return InputError(f"label {self.name!r} ({self.where}) is not one of {whose}: {remedy}, or correct the row")


def read_text(row: Row, column: str, where: str, key: str) -> str:
    """A column of text, or of words.

    Raises:
        InputError: If it is missing, or not text that can be encoded.
    """
    if column not in row:
        raise missing_column(where, repr(column), row, key)
    return text_of(row[column], f"column {column!r} of {where}")


def text_of(value: Any, what: str) -> str:
    """A text, or what words make with a space between them, as the rows of taggers hold it.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(value, list):
        return " ".join(check_text(word, f"word {number} in {what}") for number, word in enumerate(value, 1))
    return check_text(value, what)


def check_text(value: Any, what: str) -> str:
    """Hold a value against what a tokenizer can take.

    Raises:
        InputError: If it is not a string, or a string that is not valid Unicode.
    """
    if not isinstance(value, str):
        found = "empty (null)" if value is None else a_type(value)
        raise InputError(f"{what} is {found}, not text: correct the row")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{what} holds half a surrogate pair (character {error.start + 1}): correct it") from error
    return value
