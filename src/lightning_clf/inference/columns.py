"""Which columns an answered row has: those it brought along, and those of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lightning_clf.decision import Decision
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace

PREFIX = "input/"
"""What a column that came with a row is called by before its name, where the answer has the name."""
_TEXTS = pa.list_(pa.string())


def answer_columns(labels: LabelSpace, decision: Decision) -> dict[str, pa.DataType]:
    """The columns of an answer in a table, which follow from the labels and the decision alone.

    Probabilities of labels are a column each, `probability/<label>`, empty where a head has none.
    """
    each = {f"probability/{name}": pa.float64() for name in labels.names}
    if labels.kind == "single":
        decided = {} if decision.abstention is None else {"abstained": pa.bool_()}
        decided |= {} if decision.label_sets is None else {"label_set": _TEXTS}
        return {"label": pa.string(), "probability": pa.float64(), **decided, **each}
    if labels.kind == "multi":
        return {"labels": _TEXTS, **each}
    if labels.kind == "score":
        return {"score": pa.float64()}
    columns = {"tokens": _TEXTS, "tags": _TEXTS, "probabilities": pa.list_(pa.float64())}
    return columns if labels.scheme == "none" else columns | {"entities": pa.list_(_ENTITY)}


_ENTITY = pa.struct(
    {
        "type": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "text": pa.string(),
        "char_start": pa.int64(),
        "char_end": pa.int64(),
    }
)


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with a name of its own for each value, as tables have them: of each label, and of each task."""
    if all(isinstance(value, dict) for value in answer.values()):  # which of one task they never are
        return {f"{task}/{name}": value for task, one in answer.items() for name, value in flat(one).items()}
    row = dict(answer)
    if isinstance(row.get("probabilities"), dict):
        row |= {f"probability/{name}": value for name, value in row.pop("probabilities").items()}
    return row


class Carried:
    """What of a row stands beside its answer.

    Args:
        answer: The columns of an answer in a table.
        keys: What else an answer has at its top where it is none of a table.
        names: Which columns of the row; `None` takes all.
        read: The columns that the answer repeats, which are not carried.
    """

    def __init__(
        self, answer: dict[str, pa.DataType], keys: Iterable[str], names: Sequence[str] | None, read: Iterable[str]
    ) -> None:
        self._names = names
        self._answer = answer
        self._taken = {*answer, *keys}
        self._dropped = self._taken.intersection(read)

    def take(self, row: Mapping[str, Any] | str, where: str) -> dict[str, Any]:
        """The part of a row that is carried along.

        Raises:
            InputError: If two columns would have one name.
        """
        if isinstance(row, str):
            return {}
        if self._names is not None:
            row = {name: row[name] for name in self._names if name in row}
        if self._taken.isdisjoint(row):
            return dict(row)
        names = self._rename(row, where)
        return {names[name]: value for name, value in row.items() if name in names}

    def found(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Of the columns that were named, those that any of some rows has."""
        missing = set(self._names or ())
        for row in rows:
            if not missing:
                break
            missing.difference_update(row)
        return [name for name in self._names or () if name not in missing]

    def check(self, columns: Iterable[str], where: str) -> None:
        """Hold the columns that were named against those that all rows have.

        Args:
            columns: Those of the rows; plain text has none.
            where: What messages call these.

        Raises:
            InputError: If one that is named is missing.
        """
        there = list(columns)
        missing = next((name for name in self._names or () if name not in there), None)
        if missing is not None:
            remedy = f"name one of {', '.join(there)}" if there else "leave out --carry"
            raise InputError(f"{where} has no column {missing!r} to carry along: {remedy}")

    def table(self, columns: Mapping[str, pa.DataType], where: str) -> pa.Schema:
        """The columns of a table of answers.

        Args:
            columns: Those of its rows.
            where: What messages call these.

        Raises:
            InputError: If one that is named is missing, two columns would have one name, or one has a name that is no
                text.
        """
        self.check(columns, where)
        kept = columns if self._names is None else {name: columns[name] for name in self._names}
        odd = next((name for name in kept if not _is_whole(name)), None)
        if odd is not None:
            raise InputError(
                f"{where} has a column {odd!r}, with half a surrogate pair in its name, which no table holds: rename "
                "it, or name those to carry with --carry"
            )
        named = {new: _plain(columns[name]) for name, new in self._rename(kept, where).items()}
        return pa.schema(list((named | self._answer).items()))

    def _rename(self, columns: Iterable[str], where: str) -> dict[str, str]:
        names = {name: PREFIX + name if name in self._taken else name for name in columns if name not in self._dropped}
        if len(set(names.values())) < len(names):
            twice = next(new for name, new in names.items() if new != name and new in names)
            raise InputError(
                f"{where} has a column {twice!r}, which is what {twice.removeprefix(PREFIX)!r} is called beside the "
                "answer: rename one, or name those to carry with --carry"
            )
        return names


def _is_whole(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type as Python's values are written in; categories, within lists and parts too, as what they stand for."""
    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    return pa.list_(_plain_field(kind.value_field)) if types.is_list(kind) else kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))
