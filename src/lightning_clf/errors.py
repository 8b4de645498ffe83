"""The one exception a user is meant to read."""

from __future__ import annotations

from math import inf
from numbers import Integral, Real
from textwrap import shorten
from typing import Any, TypeVar

N = TypeVar("N", int, float)
FOREIGN_CODE = "code of its own, which is not run"
"""What is said of an encoder or a tokenizer that `transformers` would have to be trusted with."""


class InputError(Exception):
    """Something the user gave is wrong: a file, a row, a label, a key, a checkpoint.

    The message is one line that says what is wrong, where (file, line, key, column, label), and what to do about it.
    The command prints it without a traceback and ends with exit code 2. It is no `ValueError`, which configuration
    parsers catch to try the next type a key may have.
    """

    def __str__(self) -> str:
        """The message, in one line whatever is in the data that it quotes."""
        return printable(super().__str__())


class SharedError(InputError):
    """What an `InputError` of another process says, which ends this one too. That process prints it."""


def printable(text: str) -> str:
    """A text in one line that no terminal takes for a command: line breaks, escapes and the like as Python writes them.

    Args:
        text: A text that quotes labels, columns or names of files, which may hold anything.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def a_type(value: object) -> str:
    """What a value is, with its article: `a list`, `an int`."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def reason(error: Exception) -> str:
    """What another library raised, in one line: with its class, where the message alone would say little.

    Args:
        error: The error, of whatever class.
    """
    if "trust_remote_code" in str(error):  # which advises to run it
        return f"it brings {FOREIGN_CODE}"
    said = shorten(str(error), 200, placeholder=" …")
    if said and isinstance(error, OSError | ValueError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def check_number(
    key: str, value: N, *, least: float = -inf, above: float = -inf, most: float = inf, whole: bool = False
) -> N:
    """Hold a number against its bounds.

    Args:
        key: What it is called, as a user writes it.
        value: The number.
        least: The lowest it may be.
        above: What it must be above, in place of `least`.
        most: The highest it may be.
        whole: Whether it has to be an integer, which 2.0 is not.

    Returns:
        The number, as Python's own: checkpoints hold none of NumPy's.

    Raises:
        InputError: If it is none, as a text or a truth value are none, or is out of bounds, infinite or NaN.
    """
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if is_number and least <= value <= most and above < value < inf:
        return int(value) if isinstance(value, Integral) else float(value)  # type: ignore[return-value]
    if above > -inf:
        remedy = f"a number above {_plain(above)}" + ("" if most == inf else f" and at most {_plain(most)}")
    elif least == -inf and most == inf:
        remedy = "one that is finite"
    else:
        remedy = f"{_plain(least)} or more" if most == inf else f"a number from {_plain(least)} to {_plain(most)}"
    if not is_number:
        raise InputError(f"{key} is {value!r}, which is no {'whole ' if whole else ''}number: give {remedy}")
    raise InputError(f"{key} is {_plain(value)}: give {remedy}")


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, "g")


def need(package: str, what: str, extra: str) -> Any:
    """A package that an extra brings.

    Args:
        package: Its name, or that of a part of it that is imported too.
        what: What needs it, with the verb, as a message begins.
        extra: The extra.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return __import__(package)  # which returns the package, and imports the part
    except ImportError as error:
        raise InputError(
            f"{what} the package {package.partition('.')[0]}: pip install 'lightning-clf[{extra}]'"
        ) from error
