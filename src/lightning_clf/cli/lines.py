"""Lines that several commands print alike."""

from __future__ import annotations


def say_written(what: object, rows: int | None = None, more: str = "") -> None:
    """Name what a command has written, as its last word or before what else it says of it.

    Args:
        what: The file or the folder.
        rows: How many rows a file has.
        more: What else there is to say of it.
    """
    print(f"written: {what}" + ("" if rows is None else f" ({counted(rows, 'row')})") + more)


def counted(count: int, noun: str) -> str:
    """A number of things, as in `1 row` and `2 rows`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
