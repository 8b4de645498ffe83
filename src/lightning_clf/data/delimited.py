"""CSV and TSV to rows."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from lightning_clf.data.lines import Line, Row, RowError
from lightning_clf.errors import InputError

_SEPARATORS = ",\t;|"  # what tables have between fields, whatever their suffix says
_LONGEST_ROW = 2**24  # characters; a quote that nobody closed would otherwise take in the rest of the file


def read_delimited(lines: Iterator[Line], name: str, delimiter: str) -> Iterator[tuple[int, Row | RowError]]:
    """Rows of a table with a header.

    After a row whose quotes are wrong, reading goes on with the line after the one it starts in, so that a quote nobody
    closed costs one row.

    Args:
        lines: The lines of the file.
        name: What messages call it.
        delimiter: What is between fields.

    Raises:
        InputError: If the header is none.
    """
    # the standard library stops at 128 KiB a field, which a long document exceeds; the limit is the process's
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    record = _Record(lines)
    reader = csv.reader(record, delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        record.begin()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            start, raw = record.start, record.go_back()
            fault = (
                f"{name} line {start} is malformed ({error}): put fields that hold quotes or line breaks in double "
                "quotes, and double the quotes inside"
            )
            if not header:
                raise InputError(fault) from error
            yield start, RowError(fault, raw)
            continue
        if fields is None:
            return
        if record.fault is not None:
            if not header:
                raise record.fault
            yield record.start, RowError(str(record.fault), record.raw)
        elif not header:
            header = _header(fields, f"{name} line {record.start}", delimiter) if fields else []
        elif len(fields) == len(header) and not (delimiter == "\t" and _swallows(fields)):
            yield record.start, dict(zip(header, fields, strict=True))
        elif fields and len(fields) != len(header):
            fault = (
                f"{name} line {record.start} has {len(fields)} fields where the header has {len(header)}: quote "
                f"fields that hold {_name_of(delimiter)}"
            )
            yield record.start, RowError(fault, record.raw)
        elif fields:
            fault = (
                f"{name} line {record.start} has a quoted field that holds a tab or goes on to line {record.end}, as "
                "when quotes are part of the text: write CSV or JSON lines"
            )
            start = record.start
            yield start, RowError(fault, record.go_back())


class _Record:
    """The lines of a file as `csv` takes them, which knows those of the row it is in, and can go back to its second."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0
        self.fault: RowError | None = None

    def begin(self) -> None:
        """A new row starts with the next line."""
        self._taken.clear()
        self._size = 0
        self.fault = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        text = line[1]
        if isinstance(text, RowError):  # its quotes and delimiters still tell where the row ends
            self.fault = self.fault or text
            text = f"{text.raw}\n"
        self._size += len(text)
        if self._size > _LONGEST_ROW:
            raise csv.Error(f"a quoted field goes on for more than {_LONGEST_ROW} characters")
        return text

    @property
    def start(self) -> int:
        """The number of the row's first line: a quoted field may hold line breaks."""
        return self._taken[0][0]

    @property
    def end(self) -> int:
        """The number of its last line."""
        return self._taken[-1][0]

    @property
    def raw(self) -> str:
        """Its text."""
        return "".join(f"{text.raw}\n" if isinstance(text, RowError) else text for _, text in self._taken)

    def go_back(self) -> str:
        """Have the lines after its first one read again; the first one."""
        self._again.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        return self.raw


def _swallows(fields: list[str]) -> bool:
    return any("\t" in field or "\n" in field for field in fields)


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
    if "" in header and len(header) > 1:
        raise InputError(
            f"{where} is not a header ({', '.join(header)}), as column {header.index('') + 1} has no name: name it, or "
            "write the table without its index (index=False in pandas)"
        )
    if not all(header) or len(set(header)) != len(header):
        raise InputError(f"{where} is not a header ({', '.join(header)}): start the file with a distinct name a column")
    return header
