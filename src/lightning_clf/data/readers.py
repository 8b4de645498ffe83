"""File formats to rows: strict readers that say in which line a file goes wrong."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from lightning_clf.errors import InputError, reason

Row = dict[str, Any]
Format = Literal["jsonl", "csv", "tsv", "parquet", "conll"]
FORMATS: tuple[Format, ...] = get_args(Format)

_DOCUMENT_START = "-DOCSTART-"
# not str.split(): that would also split at no-break spaces, which corpora do have inside words
_COLUMN_BREAK = re.compile(r"[ \t]+")
_PARQUET_BATCH = 1000  # rows decoded at a time
_SEPARATORS = ",\t;|"  # what tables have between fields, whatever their suffix says


def suffix_format(path: Path) -> Format | None:
    """The format a file's suffix tells, if it tells one."""
    suffix = path.suffix.removeprefix(".").lower()
    return next((format for format in FORMATS if format == suffix), None)


def read_lines(path: Path, name: str | None = None) -> Iterator[tuple[int, str]]:
    """Read a file of plain text line by line.

    Args:
        path: The file.
        name: What to call the file in messages; its path where `None`.

    Yields:
        The number of each line, counted from 1, and the line without its end.

    Raises:
        InputError: If the file is missing, cannot be read or is not UTF-8.
    """
    name = name or str(path)
    with readable(name):
        for number, line in _lines(path, name):
            yield number, line.rstrip("\r\n")


def read_rows(path: Path, format: Format, name: str | None = None) -> Iterator[tuple[int, Row]]:
    """Read a file row by row.

    Args:
        path: The file.
        format: How it is written. `conll` yields a row a sentence, with the words in `tokens` and every column under
            its number, counted from 1, as a string.
        name: What to call the file in messages; its path where `None`.

    Yields:
        The number of the line a row starts in (for Parquet: of the row), counted from 1, and the row.

    Raises:
        InputError: If the file is missing, empty, not UTF-8 or malformed.
    """
    name = name or str(path)
    empty = True
    with readable(name):
        for numbered in _READERS[format](path, name):
            empty = False
            yield numbered
        if empty:
            what = "is empty" if path.stat().st_size == 0 else "holds no rows"
            raise InputError(f"file {name} {what}: give a file with at least one row")


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what an operating system says of a file into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"file {name} does not exist: correct the path") from error
    except OSError as error:
        raise InputError(f"file {name} cannot be read ({error.strerror or error}): correct the path") from error


def decode_lines(lines: Iterable[bytes], name: str, remedy: str) -> Iterator[tuple[int, str]]:
    """Decode lines one by one, so that the one that is not UTF-8 can be named.

    Args:
        lines: The lines, with their ends.
        name: What messages call that which they are read from.
        remedy: What to do where a line is not UTF-8.

    Yields:
        The number of each line, counted from 1, and the line with its end.

    Raises:
        InputError: If a line is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        try:
            # the byte order mark that some editors and spreadsheets write is no part of the first row
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not UTF-8 (line {number}, byte {error.start + 1} of it): {remedy}") from error


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        yield from decode_lines(file, f"file {name}", "save it as UTF-8")


def parse_json_lines(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[int, Row]]:
    """Parse numbered lines of one JSON object each; blank lines are passed over.

    Args:
        lines: The lines, each with its number.
        name: What messages call that which they are read from.

    Yields:
        The number of each row's line, and the row.

    Raises:
        InputError: If a line is not a JSON object, or gives a key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in row if keys.count(key) > 1)
            raise InputError(f"{name} line {number} gives the key {twice!r} twice: keep one of them")
        return row

    decoder = json.JSONDecoder(object_pairs_hook=unique)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = decoder.decode(line.rstrip())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{name} line {number} is not JSON ({error.msg} at column {error.colno}): write one JSON object a line"
            ) from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
            raise InputError(f"{name} line {number} is JSON too large to read: write a plain object") from error
        if not isinstance(row, dict):
            raise InputError(
                f"{name} line {number} is a JSON {_json_type(row)}, not an object: write one object a line, such as "
                '{"text": "…", "label": "…"}'
            )
        yield number, row


def _json_type(value: Any) -> str:
    types = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return types.get(type(value), "number")


def _read_delimited(path: Path, name: str, delimiter: str) -> Iterator[tuple[int, Row]]:
    # the standard library stops at 128 KiB a field, which a long document exceeds; the limit is the process's
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    reader = csv.reader((line for _, line in _lines(path, name)), delimiter=delimiter, strict=True)
    header: list[str] = []
    start = 1  # a quoted field may hold line breaks, so a row may end lines after it starts
    try:
        for fields in reader:
            if not header:
                header = _header(fields, f"{name} line {start}", delimiter)
            elif fields:
                if len(fields) != len(header):
                    raise InputError(
                        f"{name} line {start} has {len(fields)} fields where the header has {len(header)}: quote "
                        f"fields that hold {_name_of(delimiter)}"
                    )
                if delimiter == "\t" and any("\t" in field or "\n" in field for field in fields):
                    raise InputError(
                        f"{name} line {start} has a quoted field that holds a tab or goes on to line "
                        f"{reader.line_num}, as when quotes are part of the text: write CSV or JSON lines"
                    )
                yield start, dict(zip(header, fields, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{name} line {start} is malformed ({error}): put fields that hold quotes or line breaks in double quotes, "
            "and double the quotes inside"
        ) from error


def _name_of(delimiter: str) -> str:
    return "a tab" if delimiter == "\t" else "a comma"


def _header(fields: list[str], where: str, delimiter: str) -> list[str]:
    header = [field.strip() for field in fields]
    other = next((separator for separator in _SEPARATORS if separator in "".join(fields)), delimiter)
    if len(header) == 1 and other != delimiter:
        raise InputError(
            f"{where} is a header of one column, {header[0]!r}, with {other!r} in it: put {_name_of(delimiter)} "
            "between fields, and quote fields that hold one"
        )
    if not all(header) or len(set(header)) != len(header):
        raise InputError(f"{where} is not a header ({', '.join(header)}): start the file with a distinct name a column")
    return header


def _read_parquet(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    number = 1
    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            twice = next((column for column in columns if columns.count(column) > 1), None)
            if twice is not None:
                raise InputError(f"file {name} has two columns {twice!r}: rename or remove one of them")
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                yield from rows_of(batch, number, lambda number: f"{name} row {number}")
                number += len(batch)
    except pa.ArrowException as error:
        raise InputError(
            f"file {name} is not a Parquet file that can be read ({reason(error)}): write it again"
        ) from error


def rows_of(batch: Any, start: int, where: Callable[[int], str]) -> Iterator[tuple[int, Row]]:
    """Numbered rows of an Arrow table or batch, as Python's own values.

    Args:
        batch: The rows.
        start: The number of the first one.
        where: Turns a number into words, for messages.

    Raises:
        InputError: If a value cannot be read, such as text that is not UTF-8: Arrow itself does not look into it.
    """
    try:
        return enumerate(batch.to_pylist(), start)
    except (ValueError, OverflowError):
        for number in range(len(batch)):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                _check_cell(column[number], f"column {name!r} of {where(start + number)}")
        raise


def _check_cell(cell: Any, what: str) -> None:
    try:
        cell.as_py()
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not UTF-8: recode it") from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"{what} cannot be read ({reason(error)}): correct it, or remove the column") from error


def _read_conll(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    words: list[list[str]] = []
    width = start = 0
    for number, line in _lines(path, name):
        fields = _COLUMN_BREAK.split(line.strip(" \t\r\n"))
        if fields == [""] or fields[0] == _DOCUMENT_START:
            if words:
                yield start, _sentence(words)
            words = []
            continue
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(
                f"{name} line {number} has {len(fields)} columns where the lines before have {width}: "
                "write every word with the same columns, and blank lines between sentences"
            )
        start = start if words else number
        words.append(fields)
    if words:
        yield start, _sentence(words)


def _sentence(words: list[list[str]]) -> Row:
    columns = [list(column) for column in zip(*words, strict=True)]
    return {"tokens": columns[0]} | {str(number): column for number, column in enumerate(columns, start=1)}


_READERS: dict[Format, Callable[[Path, str], Iterator[tuple[int, Row]]]] = {
    "jsonl": lambda path, name: parse_json_lines(_lines(path, name), name),
    "csv": lambda path, name: _read_delimited(path, name, ","),
    "tsv": lambda path, name: _read_delimited(path, name, "\t"),
    "parquet": _read_parquet,
    "conll": _read_conll,
}
