"""File formats to rows: strict readers that say in which line a file goes wrong."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from lightning_clf.data.delimited import read_delimited
from lightning_clf.data.lines import Line, Row, RowError, decode_lines
from lightning_clf.errors import InputError, reason

Format = Literal["jsonl", "csv", "tsv", "parquet", "conll"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
_DOCUMENT_START = "-DOCSTART-"
# not str.split(): that would also split at no-break spaces, which corpora do have inside words
_COLUMN_BREAK = re.compile(r"[ \t]+")
_PARQUET_BATCH = 1000  # rows decoded at a time
_PARQUET_BUFFER = 2**20  # bytes of a column read at a time


def suffix_format(path: Path) -> Format | None:
    """The format a file's suffix tells, if it tells one."""
    suffix = path.suffix.removeprefix(".").lower()
    return next((format for format in FORMATS if format == suffix), None)


def refuse_spreadsheet(file: str | Path) -> None:
    """Say of a file that tables are kept in and that is not read how to have it read.

    Raises:
        InputError: If its suffix is that of a spreadsheet.
    """
    if Path(file).suffix.lower() in _SPREADSHEETS:
        raise InputError(f"file {file} is a spreadsheet, which is not read: save its sheet as CSV in UTF-8")


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
    with readable(name), path.open("rb") as file:
        yield from sound(scan_rows(file, format, name))


def scan_rows(file: BinaryIO, format: Format, name: str) -> Iterator[tuple[int, Row | RowError]]:
    """Read an open file as `read_rows` does, past rows that cannot be read.

    Args:
        file: The file, which is read as rows are asked for.
        format: How it is written.
        name: What to call the file in messages.

    Yields:
        The number of each row, and the row, or what is wrong with it.

    Raises:
        InputError: If the file holds no row, or is not of the format at all.
    """
    empty = True
    for numbered in _READERS[format](file, name):
        empty = False
        yield numbered
    if empty:
        what = "is empty" if format != "parquet" and file.tell() == 0 else "holds no rows"
        raise InputError(f"file {name} {what}: give a file with at least one row")


def sound(rows: Iterable[tuple[int, Row | RowError]]) -> Iterator[tuple[int, Row]]:
    """Rows up to the first that cannot be read, which is raised."""
    for number, row in rows:
        if isinstance(row, RowError):
            raise row
        yield number, row


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what an operating system says of a file into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"file {name} does not exist: correct the path") from error
    except OSError as error:
        raise InputError(f"file {name} cannot be read ({error.strerror or error}): correct the path") from error


def parse_json_lines(lines: Iterable[Line], name: str) -> Iterator[tuple[int, Row | RowError]]:
    """Parse numbered lines of one JSON object each; blank lines are passed over.

    Args:
        lines: The lines, each with its number.
        name: What messages call that which they are read from.

    Yields:
        The number of each row's line, and the row, or what is wrong: it is no JSON object, or gives a key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in row if keys.count(key) > 1)
            raise RowError(f"{name} line {number} gives the key {twice!r} twice: keep one of them", str(line))
        return row

    decoder = json.JSONDecoder(object_pairs_hook=unique)
    for number, line in lines:
        if isinstance(line, RowError):
            yield number, line
        elif line.strip():
            try:
                yield number, _json_object(decoder, line, f"{name} line {number}")
            except RowError as error:
                yield number, error


def _json_object(decoder: json.JSONDecoder, line: str, where: str) -> Row:
    try:
        row = decoder.decode(line.rstrip())
    except json.JSONDecodeError as error:
        message = f"{where} is not JSON ({error.msg} at column {error.colno}): write one JSON object a line"
        raise RowError(message, line) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
        raise RowError(f"{where} is JSON too large to read: write a plain object", line) from error
    if not isinstance(row, dict):
        message = (
            f"{where} is a JSON {_json_type(row)}, not an object: write one object a line, such as "
            '{"text": "…", "label": "…"}'
        )
        raise RowError(message, line)
    return row


def _json_type(value: Any) -> str:
    types = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return types.get(type(value), "number")


@contextmanager
def open_parquet(source: BinaryIO, name: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file, read as its rows are asked for.

    Raises:
        InputError: If it is none, is damaged where it is read, or has two columns of one name.
    """
    try:
        # with a buffer, as a group of rows would be taken in as a whole without
        with pq.ParquetFile(source, buffer_size=_PARQUET_BUFFER) as file:
            columns = file.schema_arrow.names
            twice = next((column for column in columns if columns.count(column) > 1), None)
            if twice is not None:
                raise InputError(f"file {name} has two columns {twice!r}: rename or remove one of them")
            yield file
    except pa.ArrowException as error:
        raise InputError(
            f"file {name} is not a Parquet file that can be read ({reason(error)}): write it again"
        ) from error


def _read_parquet(source: BinaryIO, name: str) -> Iterator[tuple[int, Row | RowError]]:
    number = 1
    with open_parquet(source, name) as file:
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
            yield from rows_of(batch, number, lambda number: f"{name} row {number}")
            number += len(batch)


def rows_of(batch: Any, start: int, where: Callable[[int], str]) -> Iterator[tuple[int, Row | RowError]]:
    """Numbered rows of an Arrow table or batch, as Python's own values.

    Args:
        batch: The rows.
        start: The number of the first one.
        where: Turns a number into words, for messages.

    Returns:
        Each row with its number, or what is wrong with a value in it, such as text that is not UTF-8: Arrow itself does
        not look into it.
    """
    try:
        return enumerate(batch.to_pylist(), start)
    except (ValueError, OverflowError):
        return ((number, _row_of(batch, number - start, where(number))) for number in range(start, start + len(batch)))


def _row_of(batch: Any, place: int, where: str) -> Row | RowError:
    row: Row = {}
    fault = ""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[place].as_py()
        except UnicodeDecodeError:
            fault = fault or f"column {name!r} of {where} is not UTF-8: recode it"
        except (ValueError, OverflowError) as error:
            cannot = f"cannot be read ({reason(error)}): correct it, or remove the column"
            fault = fault or f"column {name!r} of {where} {cannot}"
    return RowError(fault, row) if fault else row


def _read_conll(lines: Iterator[Line], name: str) -> Iterator[tuple[int, Row | RowError]]:
    words: list[list[str]] = []
    raw: list[str] = []
    fault: RowError | None = None
    width = start = 0
    for number, line in itertools.chain(lines, [(0, "")]):  # an empty line ends a sentence
        text = str(line.raw) if isinstance(line, RowError) else line
        fields = _COLUMN_BREAK.split(text.strip(" \t\r\n"))
        if fields == [""] or fields[0] == _DOCUMENT_START:
            if words:
                yield start, RowError(str(fault), "\n".join(raw)) if fault else _sentence(words)
            words, raw, fault = [], [], None
            continue
        start = start if words else number
        words.append(fields)
        raw.append(text.rstrip("\r\n"))
        if isinstance(line, RowError):
            fault = fault or line
            continue
        width = width or len(fields)
        if len(fields) != width:
            message = (
                f"{name} line {number} has {len(fields)} columns where the lines before have {width}: "
                "write every word with the same columns, and blank lines between sentences"
            )
            fault = fault or RowError(message, "")


def _sentence(words: list[list[str]]) -> Row:
    columns = [list(column) for column in zip(*words, strict=True)]
    return {"tokens": columns[0]} | {str(number): column for number, column in enumerate(columns, start=1)}


def _lines(file: BinaryIO, name: str) -> Iterator[Line]:
    for number, line in decode_lines(file, f"file {name}", "save it as UTF-8"):
        if number == 1 and isinstance(line, str) and "\r" in line.rstrip("\r\n"):
            raise InputError(f"file {name} has lines that end in CR alone: save it with line ends of LF or CRLF")
        yield number, line


_READERS: dict[Format, Callable[[BinaryIO, str], Iterator[tuple[int, Row | RowError]]]] = {
    "jsonl": lambda file, name: parse_json_lines(_lines(file, name), name),
    "csv": lambda file, name: read_delimited(_lines(file, name), name, ","),
    "tsv": lambda file, name: read_delimited(_lines(file, name), name, "\t"),
    "parquet": _read_parquet,
    "conll": lambda file, name: _read_conll(_lines(file, name), name),
}
