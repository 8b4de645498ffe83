"""Where the rows to answer come from."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from lightning_clf.data.lines import Line, RowError, decode_lines
from lightning_clf.data.readers import (
    FORMATS,
    open_parquet,
    parse_json_lines,
    readable,
    refuse_spreadsheet,
    scan_rows,
    suffix_format,
)
from lightning_clf.errors import InputError

Numbered = tuple[int, str | dict[str, Any] | RowError]
"""A row, or a line of plain text, or what is wrong with it, under the number of its line."""
_PLAIN = ("", ".txt", ".text")  # suffixes of plain text
_LOOKED_AT = 2048  # rows of a table of which one must be such as can be read
_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class Source:
    """A file, or standard input, read once from its start.

    Attributes:
        name: What messages call it.
        rows: Its rows.
        columns: Where all rows have the same, their types by their names; `None` where each row has its own. Plain text
            has none.
        total: How much there is to read, of which `position` is read: rows of a Parquet file, or else bytes; `None`
            where nobody knows.
    """

    def __init__(self, name: str, rows: Iterator[Numbered], noun: str = "line") -> None:
        self.name = name
        self.rows = rows
        self.columns: dict[str, pa.DataType] | None = None
        self.total: int | None = None
        self.position: Callable[[], int] | None = None
        self._noun = noun

    def where(self, number: int) -> str:
        """`rows.jsonl line 7`."""
        return f"{self.name} {self._noun} {number}"


@contextlib.contextmanager
def open_source(source: str, folder: str = "") -> Iterator[Source]:
    """Open what rows are to be read from.

    Args:
        source: A `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.conll` file, or one of plain text, or `-`.
        folder: What its name is relative to, where that is not the working folder.

    Raises:
        InputError: If it cannot be opened, or no row at its start can be read.
    """
    if source == "-":
        yield _standard_input()
        return
    path = Path(folder, source)
    format = suffix_format(path)
    if format is None and path.suffix.lower() not in _PLAIN and path.is_file():
        refuse_spreadsheet(source)
        raise InputError(
            f"file {source} has a suffix that tells no format: use one of {', '.join(FORMATS)}, or txt for plain text, "
            "one input a line"
        )
    with contextlib.ExitStack() as stack:
        with readable(source):
            file = stack.enter_context(path.open("rb"))
        opened = Source(source, _read(file, format, source), "row" if format == "parquet" else "line")
        if format == "parquet":
            with readable(source), open_parquet(file, source) as parquet:
                opened.columns = dict(zip(parquet.schema_arrow.names, parquet.schema_arrow.types, strict=True))
                opened.total = parquet.metadata.num_rows
        else:
            opened.total, opened.position = (path.stat().st_size if path.is_file() else None), file.tell
            if format is None:
                opened.columns = {}
            elif format != "jsonl":
                kind = pa.list_(pa.string()) if format == "conll" else pa.string()
                opened.columns = dict.fromkeys(_look(opened), kind)
        yield opened


def survey(source: str) -> tuple[int, dict[str, pa.DataType]]:
    """Read a file through, for what is known only then.

    Returns:
        The number of its rows, and of JSON lines the columns that any of them has: of truth values, whole numbers,
        numbers or text, and of text also where rows differ or hold something else, or numbers would be rounded.

    Raises:
        InputError: If it can be read only once.
    """
    if not Path(source).is_file():
        raise InputError(f"{'standard input' if source == '-' else source} can be read only once: give a file of rows")
    count = 0
    found: dict[str, set[type]] = {}
    with open_source(source) as opened:
        if opened.columns is not None and opened.position is None:
            return opened.total or 0, opened.columns
        for count, (_, row) in enumerate(opened.rows, start=1):  # noqa: B007 (the last one is the number of rows)
            if isinstance(row, dict) and opened.columns is None:
                for name, value in row.items():
                    found.setdefault(name, set()).add(_type(value))
        return count, opened.columns or {name: _common(types) for name, types in found.items()}


class _Long:
    """A whole number that the numbers of a table hold, and no float64 does exactly."""


def _type(value: Any) -> type:
    if not isinstance(value, int) or -(2**53) <= value <= 2**53:
        return type(value)
    return _Long if -(2**63) <= value < 2**63 else object


def _common(types: set[type]) -> pa.DataType:
    types = types - {type(None)}
    if types == {int, float}:
        return pa.float64()
    if _Long in types and types <= {int, _Long}:
        return pa.int64()
    return _TYPES.get(next(iter(types)), pa.string()) if len(types) == 1 else pa.string()


def _read(file: BinaryIO, format: Any, name: str) -> Iterator[Numbered]:
    with readable(name):  # in here, as it is to say nothing of what is done with the rows
        if format is None:
            yield from _texts(_not_empty(decode_lines(file, f"file {name}", "save it as UTF-8"), f"file {name}"))
        else:
            yield from scan_rows(file, format, name)


def _texts(lines: Iterable[Line]) -> Iterator[Numbered]:
    return ((number, line if isinstance(line, RowError) else line.rstrip("\r\n")) for number, line in lines)


def _look(source: Source) -> list[str]:
    """The columns of a table, which its first row tells."""
    seen: list[Numbered] = []
    for numbered in source.rows:
        seen.append(numbered)
        if isinstance(numbered[1], dict):
            source.rows = itertools.chain(seen, source.rows)
            return list(numbered[1])
        if len(seen) == _LOOKED_AT:
            break
    raise InputError(f"none of the first {len(seen)} rows can be read; the first: {seen[0][1]}")


def _not_empty(lines: Iterator[Line], name: str) -> Iterator[Line]:
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name} is empty: give one input a line")
    yield first
    yield from lines


def _typed() -> Iterator[bytes]:
    """The lines of standard input, which a notebook or a test may have put text in the place of."""
    if hasattr(sys.stdin, "buffer"):
        yield from sys.stdin.buffer
    else:
        yield from (line.encode("utf-8", "surrogatepass") for line in sys.stdin or ())


def _standard_input() -> Source:
    name = "standard input"
    lines = _not_empty(decode_lines(_typed(), name, "recode it, as iconv -f LATIN1 -t UTF-8 does"), name)
    first = next(lines)
    lines = itertools.chain([first], lines)
    text = first[1].raw if isinstance(first[1], RowError) else first[1]
    if str(text).lstrip().startswith("{"):
        return Source(name, parse_json_lines(lines, name))
    source = Source(name, _texts(lines))
    source.columns = {}
    return source
