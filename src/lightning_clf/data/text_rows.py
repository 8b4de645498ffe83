"""Rows of a text, or a pair of texts, and a class, several classes or a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from lightning_clf.data.lines import Row
from lightning_clf.data.rows import (
    UNLABELLED,
    Example,
    RowFormat,
    UnknownLabelError,
    check_text,
    missing_column,
    read_text,
)
from lightning_clf.encoding import Tokenizer, encode_texts
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace, whole_number

TextKind = Literal["single", "multi", "score"]
LABEL_COLUMNS: dict[TextKind, tuple[str, ...]] = {
    "single": ("label",),
    "multi": ("labels",),
    "score": ("score", "label"),
}
"""What the column of labels is usually called."""


@dataclass(frozen=True)
class TextRows(RowFormat):
    """A text, or a pair of texts, and what is to be said of it.

    Attributes:
        kind: `single` (one class), `multi` (any number of classes) or `score` (a number).
        text_column: The column of the first text.
        text_pair_column: The column of the second text, of tasks on pairs.
        label_column: The column of the label; `None` where `label_columns` hold it.
        label_columns: For several classes, one column a label that holds 0 or 1.
        label_separator: For several classes, what stands between the labels of one cell.
        declared: The labels as declared. A number that is not one of them is a position among them.
        ignore_case: Whether labels are told apart by letters alone.
        score_range: The lowest and the highest score.
        symmetric: Whether pairs are read in both orders.
        group_column: The column whose value rows share that are ranked together.
    """

    kind: TextKind
    text_column: str
    text_pair_column: str | None = None
    label_column: str | None = None
    label_columns: tuple[str, ...] = ()
    label_separator: str | None = None
    declared: tuple[str, ...] = ()
    ignore_case: bool = False
    score_range: tuple[float, float] | None = None
    symmetric: bool = False
    group_column: str | None = None

    def inputs(self) -> dict[str, str]:
        """The columns of texts, of what rows share that are ranked together, and of labels if it is no usual name."""
        label = None if self.label_column in LABEL_COLUMNS[self.kind] else self.label_column
        named = {
            "text": self.text_column,
            "text_pair": self.text_pair_column,
            "group": self.group_column,
            "label": label,
        }
        return {role: column for role, column in named.items() if column is not None}

    def read(self, row: Row, where: str) -> Example:
        """Check that a row has its texts."""
        text = read_text(row, self.text_column, where, "text_column")
        pair = None
        if self.text_pair_column is not None:
            pair = read_text(row, self.text_pair_column, where, "text_pair_column")
        return Example(text, pair, None, where)

    def parse(self, row: Row, where: str) -> Example:
        """Check that a row has its texts, a label in the shape the task expects, and a group where one is asked for."""
        group = None if self.group_column is None else _read_group(row, self.group_column, where)
        return replace(self.read(row, where), label=self._label(row, where), group=group)

    def _label(self, row: Row, where: str) -> str | list[str] | float | None:
        if self.label_columns:
            return [column for column in self.label_columns if _read_flag(row, column, where)]
        column = self.label_column or "label"
        if column not in row:
            raise missing_column(where, repr(column), row, "label_column")
        value = row[column]
        if _is_missing(value) and not (self.kind == "multi" and value == ""):
            state = "NaN, not a number" if self.kind == "score" and isinstance(value, float) else "empty"
            raise InputError(f"{where} has no label (column {column!r} is {state}): give it one, or remove the row")
        if self.kind == "score":
            return self._score(value, where)
        if _is_unlabelled(str(value)) and not any(map(_is_unlabelled, self.declared)):
            return None
        return _read_class(value, where) if self.kind == "single" else self._classes(value, where)

    def _score(self, value: Any, where: str) -> float | None:
        try:
            score = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"score {value!r} ({where}) is no number: correct it, or set data.label_column") from None
        if not math.isfinite(score):
            raise InputError(f"score {value!r} ({where}) is not a finite number: correct it or remove the row")
        low, high = self.score_range or (-math.inf, math.inf)
        if not low <= score <= high:
            if score == UNLABELLED:
                return None
            raise InputError(
                f"score {score:g} ({where}) is outside data.score_range [{low:g}, {high:g}]: correct the score, or "
                "widen the range"
            )
        return score

    def _classes(self, value: Any, where: str) -> list[str]:
        if isinstance(value, str):
            if self.label_separator is None:
                raise InputError(
                    f"{where} has the label {value!r}, not a list: give a list of labels, or set data.label_separator "
                    "(or data.label_columns) for labels in CSV"
                )
            value = [part for part in value.split(self.label_separator) if part.strip()]
        if not isinstance(value, list):
            raise InputError(f"{where} has the label {value!r}, not a list: give a list of labels")
        return list(dict.fromkeys(_read_class(item, where) for item in value))

    def target(self, example: Example, labels: LabelSpace) -> int | list[int] | float:
        """The class index, the indices of all classes, or the score."""
        if self.kind == "score":
            return float(example.label)
        if self.kind == "single":
            return self._index(example.label, labels, example.where)
        return sorted({self._index(name, labels, example.where) for name in example.label})

    def _index(self, name: str, labels: LabelSpace, where: str) -> int:
        positions = _positions(labels.names, self.ignore_case)
        position = positions.get(name.casefold() if self.ignore_case else name)
        number = whole_number(name)
        if position is None and number is not None:
            # one table may write a class 1 and the next 1.0: they are the same only where every class is a whole
            # number, since beside 1.1 they could be names of versions
            numbers = _numbers(labels.names)
            if None not in numbers:
                position = numbers.index(number) if number in numbers else None
            elif self.declared and not any(numbers) and 0 <= int(number) < len(labels):
                position = int(number)
        if position is None:
            raise UnknownLabelError(name, where)
        return position

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], max_length: int, stride: int | None = None
    ) -> dict[str, list[Any]]:
        """Texts to subword ids."""
        texts = [str(example.text) for example in examples]
        pairs = [example.pair or "" for example in examples] if self.text_pair_column is not None else None
        return encode_texts(tokenizer, texts, pairs, max_length, stride, symmetric=self.symmetric)


@lru_cache(maxsize=8)
def _positions(names: tuple[str, ...], ignore_case: bool) -> dict[str, int]:
    return {name.casefold() if ignore_case else name: index for index, name in enumerate(names)}


@lru_cache(maxsize=8)
def _numbers(names: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(map(whole_number, names))


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _read_class(value: Any, where: str) -> str:
    """A class name; whole numbers become their digits."""
    if isinstance(value, list):
        raise InputError(f"{where} has a list of labels ({value!r}): if rows have several, use MultiLabelDataModule")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what a table with an empty cell makes of a column of whole numbers
    if isinstance(value, float):
        raise InputError(f"{where} has the label {value!r}, which names no class: to predict numbers use kind: score")
    if not isinstance(value, str | int | None):
        raise InputError(
            f"{where} has the label {value!r}, which is of type {type(value).__name__}: write labels as text or whole "
            "numbers"
        )
    name = str(value).strip()
    if not name or value is None:
        raise InputError(f"{where} has an empty label: give it a name, or remove the row")
    return check_text(name, f"label {name!r} of {where}")


def _read_group(row: Row, column: str, where: str) -> str:
    """What rows share that are ranked together: a text, or a number."""
    if column not in row:
        raise missing_column(where, repr(column), row, "group_column")
    value = row[column]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"column {column!r} of {where} is {value!r}, no question nor its number: correct the row")
    return str(value)


def _is_unlabelled(name: str) -> bool:
    """Whether a label is what data sets write for none, however they write the number."""
    return whole_number(name.strip()) == str(UNLABELLED)


def _read_flag(row: Row, column: str, where: str) -> bool:
    if column not in row:
        raise missing_column(where, repr(column), row, "label_columns")
    value = str(row[column]).strip().removesuffix(".0").lower()
    if value not in ("0", "1", "false", "true"):
        raise InputError(f"column {column!r} of {where} is {row[column]!r}: columns of data.label_columns hold 0 or 1")
    return value in ("1", "true")
