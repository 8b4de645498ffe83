"""File formats to rows: strict readers that say in which line a file goes wrong."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from lightning_clf.errors import InputError

Row = dict[str, Any]
Format = Literal["jsonl", "csv", "tsv", "parquet", "conll"]
FORMATS: tuple[Format, ...] = get_args(Format)

_DOCUMENT_START = "-DOCSTART-"
# not str.split(): that would also split at no-break spaces, which corpora do have inside words
_COLUMN_BREAK = re.compile(r"[ \t]+")
_PARQUET_BATCH = 1000  # rows decoded at a time


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


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Numbered lines, decoded one by one so that the one that is not UTF-8 can be named."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                # the byte order mark that some editors and spreadsheets write is no part of the first row
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"file {name} is not UTF-8 (line {number}, byte {error.start + 1} of it): save it as UTF-8"
                ) from error


def _read_jsonl(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    for number, line in _lines(path, name):
        if not line.strip():
            continue
        try:
            row = json.loads(line.rstrip())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{name} line {number} is not JSON ({error.msg} at column {error.colno}): write one JSON object a line"
            ) from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
            raise InputError(f"{name} line {number} is JSON too large to read: write a plain object") from error
        if not isinstance(row, dict):
            raise InputError(
                f"{name} line {number} is a JSON {_json_type(row)}, not an object: write one JSON object a line, "
                'such as {"text": "…", "label": "…"}'
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
                header = _header(fields, f"{name} line {start}")
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


def _header(fields: list[str], where: str) -> list[str]:
    header = [field.strip() for field in fields]
    if not all(header) or len(set(header)) != len(header):
        raise InputError(f"{where} is not a header ({', '.join(header)}): start the file with a distinct name a column")
    return header


def _read_parquet(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pa.ArrowException as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"file {name} is not a Parquet file that can be read ({reason}): write it again") from error


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
    "jsonl": _read_jsonl,
    "csv": lambda path, name: _read_delimited(path, name, ","),
    "tsv": lambda path, name: _read_delimited(path, name, "\t"),
    "parquet": _read_parquet,
    "conll": _read_conll,
}
