"""The one exception a user is meant to read."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave is wrong: a file, a row, a label, a key, a checkpoint.

    The message is one line that says what is wrong, where (file, line, key, column, label), and what to do about it.
    The command prints it without a traceback and ends with exit code 2. It is no `ValueError`, which configuration
    parsers catch to try the next type a key may have.
    """


def first_line(error: BaseException) -> str:
    """What another library's error says first, short enough to be quoted in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
