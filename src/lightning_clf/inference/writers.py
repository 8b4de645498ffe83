"""Answered rows to bytes that are appended to a draft, and the draft to the file it is to be."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lightning_clf.errors import InputError, reason
from lightning_clf.inference.columns import flat

Row = dict[str, Any]
Rejected = dict[str, Any]
"""A row that is set aside: its `line`, the `reason`, and the `row` as far as it could be read."""
_GROUPED = 8  # chunks in a row group of Parquet
_NOT_WRITTEN = (".xlsx", ".xlsm", ".xls", ".ods", ".feather", ".arrow", ".orc", ".avro", ".pkl", ".db", ".sqlite")
_QUOTED = re.compile('["\r\n,\t]')


class Writer(ABC):
    """Chunks of rows to bytes. What was written of whole chunks is a file, or will be one after `finish`."""

    def start(self) -> bytes:
        """What stands before the first row."""
        return b""

    @abstractmethod
    def encode(self, carried: Sequence[Row], answers: Sequence[Row]) -> bytes:
        """Rows, given as what they brought along and what was answered."""

    def finish(self, draft: Path) -> None:  # noqa: B027 (most drafts are what they are to be)
        """Make a draft that is complete what it is to be, in its place."""


class TextWriter(Writer):
    """A line a row.

    Args:
        show: How an answer becomes a line.
    """

    def __init__(self, show: Callable[[Row], str]) -> None:
        self._show = show

    def encode(self, carried: Sequence[Row], answers: Sequence[Row]) -> bytes:
        """The answers, without what the rows brought along."""
        return "".join(self._show(answer) + "\n" for answer in answers).encode("utf-8", "backslashreplace")


class JsonLines(Writer):
    """A JSON object a row."""

    def encode(self, carried: Sequence[Row], answers: Sequence[Row]) -> bytes:
        """Each row's columns, and after them its answer's."""
        return b"".join(json_line({**row, **answer}) for row, answer in zip(carried, answers, strict=True))


class Delimited(Writer):
    """CSV or TSV, with a header; cells that hold neither text nor nothing are JSON.

    Args:
        names: The columns.
        delimiter: What is between fields.
    """

    def __init__(self, names: Sequence[str], delimiter: str) -> None:
        self._names, self._delimiter = names, delimiter

    def start(self) -> bytes:
        """The header."""
        return self._line(self._names)

    def encode(self, carried: Sequence[Row], answers: Sequence[Row]) -> bytes:
        """A line a row; empty cells where it has no value."""
        lines = []
        for row, answer in zip(carried, answers, strict=True):
            cells = row | flat(answer)
            lines.append(self._line([text(cells.get(name)) for name in self._names]))
        return b"".join(lines)

    def _line(self, cells: Sequence[str]) -> bytes:
        # not csv.writer, which before Python 3.13 leaves a lone carriage return unquoted
        quoted = ('"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell for cell in cells)
        return (self._delimiter.join(quoted) + "\n").encode("utf-8", "backslashreplace")


class Parquet(Writer):
    """Parquet, by way of a stream of Arrow batches: what a killed process left of one can be gone on with.

    Args:
        schema: The columns.

    Raises:
        InputError: If Parquet knows no such column.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        for field in schema:  # before anything is answered
            with _written(field.name), pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])):
                pass

    def start(self) -> bytes:
        """The schema."""
        return bytes(self._schema.serialize())

    def encode(self, carried: Sequence[Row], answers: Sequence[Row]) -> bytes:
        """A batch.

        Raises:
            InputError: If a value is none of its column's type.
        """
        rows = [row | flat(answer) for row, answer in zip(carried, answers, strict=True)]
        columns = []
        for field in self._schema:
            with _written(field.name):
                columns.append(_column([row.get(field.name) for row in rows], field.type))
        return bytes(pa.record_batch(columns, schema=self._schema).serialize())

    def finish(self, draft: Path) -> None:
        """The batches, several in a group of rows."""
        whole = draft.with_suffix(".whole")
        with (
            pa.OSFile(str(draft)) as file,
            pa.ipc.open_stream(file) as batches,
            pq.ParquetWriter(whole, self._schema, compression="zstd") as out,
        ):
            while group := list(itertools.islice(batches, _GROUPED)):
                out.write_table(pa.Table.from_batches(group, self._schema), row_group_size=2**31 - 1)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(draft)


@contextlib.contextmanager
def _written(name: str) -> Iterator[None]:
    """Turn what Arrow says of a column into one line."""
    try:
        yield
    except (pa.ArrowException, OverflowError) as error:
        raise InputError(
            f"column {name!r} cannot be written to Parquet ({reason(error)}): leave it out with --carry, or write JSON "
            "lines"
        ) from error


_TABLES: dict[str, Callable[[pa.Schema], Writer]] = {
    ".csv": lambda schema: Delimited(schema.names, ","),
    ".tsv": lambda schema: Delimited(schema.names, "\t"),
    ".parquet": Parquet,
}


def is_table(target: str | None) -> bool:
    """Whether a file of this name has columns."""
    return target is not None and Path(target).suffix.lower() in _TABLES


def check_suffix(target: str | None) -> None:
    """Keep from writing JSON lines, or what is for reading, under a name that promises something else.

    Raises:
        InputError: If a file of this name is expected to be of a format that is not written.
    """
    suffix = Path(target or "").suffix.lower()
    if suffix in _NOT_WRITTEN:
        raise InputError(
            f"output {target} has the suffix of a format that is not written: use .jsonl, .csv, .tsv or .parquet"
        )


def make_writer(target: str | None, show: Callable[[Row], str] | None, schema: pa.Schema | None) -> Writer:
    """What writes a file of this name.

    Args:
        target: The name; `None` is standard output.
        show: How an answer becomes a line, where it is not to be JSON.
        schema: The columns, of a table.
    """
    if show is not None:
        return TextWriter(show)
    return JsonLines() if schema is None else _TABLES[Path(str(target)).suffix.lower()](schema)


def json_line(row: Any) -> bytes:
    """A row as a line of JSON in UTF-8; what JSON has no word for is null, and half a surrogate pair is escaped."""
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        line = json.dumps(_finite(row), ensure_ascii=False, default=str)
    return (line + "\n").encode("utf-8", "backslashreplace")


def text(value: Any) -> str:
    """A value as the text of a cell."""
    if isinstance(value, str):
        return value
    if type(value) is float:
        return repr(value) if math.isfinite(value) else ""
    return "" if value is None else json_line(value).decode().strip().removeprefix('"').removesuffix('"')


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) and not all(value is None or isinstance(value, str) for value in values):
        values = [None if value is None else text(value) for value in values]
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a surrogate pair in a column that nobody had to read
        return pa.array([value and value.encode("utf-8", "backslashreplace").decode() for value in values], kind)
