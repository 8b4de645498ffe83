"""What a user may have meant: the keys and classes that a mistyped one is held against."""

from __future__ import annotations

import difflib
import inspect
import pydoc
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonargparse import ArgumentParser

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_LITERAL = re.compile(r"typing\.Literal\[(.*)\]")
_PLAIN = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'str'>": "text",
    "<class 'pathlib.Path'>": "text",
    "<class 'bool'>": "true or false",
    "<class 'NoneType'>": "null",
}
LIST_OF_TEXTS = "a list of texts"
_NESTED = {"list": "a list", "tuple": "a list", "dict": "a mapping", "collections.abc.Mapping": "a mapping"}


def guess(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate a mistyped name is most like, if it is like one at all; capitals do not count."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.75)
    return by_lower[close[0]] if close else None


def class_keys(cls: Any) -> list[str]:
    """The keys a class takes, those that it hands on to its bases included."""
    keys: list[str] = ArgumentParser(exit_on_error=False).add_class_arguments(cls, fail_untyped=False)
    return keys


def class_names(*bases: type) -> list[str]:
    """The classes that fit where one of these is expected, by their short names.

    Those of other packages are left out: what happens to be imported is no suggestion.
    """
    return sorted({cls.__name__ for base in bases for cls in _concrete(base) if not cls.__name__.startswith("_")})


def _concrete(base: type) -> list[type]:
    home = base.__module__.partition(".")[0]
    classes = [cls for cls in _subclasses(base) if cls.__module__.partition(".")[0] == home] or [base]
    return [cls for cls in classes if not inspect.isabstract(cls)]


def classes_in(types: str) -> list[type]:
    """The classes that types name.

    Args:
        types: Types as jsonargparse writes them, such as `<class 'lightning_clf.heads.base.Head'>`.
    """
    return [cls for cls in map(pydoc.locate, _DOTTED.findall(types)) if isinstance(cls, type)]


def _subclasses(base: type) -> Iterator[type]:
    subclasses: list[type] = base.__subclasses__()
    for cls in subclasses:
        yield cls
        yield from _subclasses(cls)


def type_names(types: str) -> list[str]:
    """Types in words, such as `a whole number`; what may be chosen from comes one by one.

    Args:
        types: One type or several, as jsonargparse writes them, separated by commas.
    """
    names = [name for part in _split(types) for name in _names(part)]
    return list(dict.fromkeys(name for name in names if name != "null")) or ["null"]


def _names(part: str) -> Sequence[str]:
    if part in _PLAIN:
        return [_PLAIN[part]]
    if match := _LITERAL.fullmatch(part):
        return [value.strip("'\"") for value in _split(match[1])]
    nested, _, inner = part.removeprefix("<class '").removesuffix("'>").partition("[")
    if nested == "list" and inner == "str]":
        return [LIST_OF_TEXTS]
    if nested == "tuple" and "..." not in inner:
        return [f"a list of {len(_split(inner[:-1]))}"]
    return [_NESTED.get(nested, f"a {nested.rpartition('.')[2]}")]


def _split(types: str) -> list[str]:
    """Parts between commas, except those inside brackets."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
