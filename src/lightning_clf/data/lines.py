"""Lines of a file, and the row that cannot be read while those after it can."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

from lightning_clf.errors import InputError

Row = dict[str, Any]


class RowError(InputError):
    """A row that cannot be read, which is no reason not to read the rows after it.

    Args:
        message: What is wrong with it, where, and what to do.
        raw: What there is of it: its text, or the values that could be read.
    """

    def __init__(self, message: str, raw: str | Row) -> None:
        super().__init__(message)
        self.raw = raw.rstrip("\r\n") if isinstance(raw, str) else raw


Line = tuple[int, str | RowError]
"""A line's number, counted from 1, and its text, or what is wrong with it."""


def decode_lines(lines: Iterable[bytes], name: str, remedy: str) -> Iterator[Line]:
    r"""Decode lines one by one, so that the one that is not UTF-8 can be named.

    Args:
        lines: The lines, with their ends.
        name: What messages call that which they are read from.
        remedy: What to do where a line is not UTF-8.

    Yields:
        Each line with its end; of one that is not UTF-8 the fault, with the line's bytes that are none as `\xe9`.

    Raises:
        InputError: If the first line tells that all of it is of another encoding, or no text.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InputError(f"{name} is not UTF-8 but UTF-16: {remedy}")
        if number == 1 and b"\0" in line:
            raise InputError(f"{name} is not UTF-8 but UTF-16, or no text (line 1 holds bytes of zero): {remedy}")
        # the byte order mark that some editors and spreadsheets write is no part of the first row
        encoding = "utf-8-sig" if number == 1 else "utf-8"
        try:
            yield number, line.decode(encoding)
        except UnicodeDecodeError as error:
            message = f"{name} is not UTF-8 (line {number}, byte {error.start + 1} of it): {remedy}"
            yield number, RowError(message, line.decode(encoding, "backslashreplace"))
