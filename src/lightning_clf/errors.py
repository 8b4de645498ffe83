"""The one exception a user is meant to read."""

from __future__ import annotations

from math import inf
from typing import TypeVar

N = TypeVar("N", int, float)


class InputError(Exception):
    """Something the user gave is wrong: a file, a row, a label, a key, a checkpoint.

    The message is one line that says what is wrong, where (file, line, key, column, label), and what to do about it.
    The command prints it without a traceback and ends with exit code 2. It is no `ValueError`, which configuration
    parsers catch to try the next type a key may have.
    """


class SharedError(InputError):
    """What an `InputError` of another process says, which ends this one too. That process prints it."""


def first_line(error: BaseException) -> str:
    """What another library's error says first, short enough to be quoted in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def check_number(key: str, value: N, *, least: float = -inf, above: float = -inf, most: float = inf) -> N:
    """Hold a number against its bounds.

    Args:
        key: What it is called, as a user writes it.
        value: The number.
        least: The lowest it may be.
        above: What it must be above, in place of `least`.
        most: The highest it may be.

    Returns:
        The number.

    Raises:
        InputError: If it is out of bounds, infinite or NaN.
    """
    if least <= value <= most and above < value < inf:
        return value
    if above > -inf:
        remedy = f"a number above {_plain(above)}"
    else:
        remedy = f"{_plain(least)} or more" if most == inf else f"a number from {_plain(least)} to {_plain(most)}"
    raise InputError(f"{key} is {_plain(value)}: give {remedy}")


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, "g")
