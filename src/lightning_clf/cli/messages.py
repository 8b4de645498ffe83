"""jsonargparse's answers to a bad configuration, boiled down to the one line that says what is wrong.

It answers with a tree of what it tried, tens of lines deep, in which most branches are of no interest: a section that
may be left out is a union with nothing, and "Expected a <class 'NoneType'>" follows every other fault. The tree is told
by its indentation; read from the top it names the keys on the way to each fault.
"""

from __future__ import annotations

import os
import pydoc
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import metadata

from lightning_clf.cli.suggestions import LIST_OF_TEXTS, class_keys, class_names, classes_in, guess, type_names
from lightning_clf.errors import InputError, reason

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"(?: element \d+)?:\s*(?P<rest>.*)')
_CLASS = re.compile(r"Problem with given class_path '(?P<owner>[^']+)':")
_TYPES = re.compile(r"Subtypes: \[(?P<types>.*)\]")
_VALUE = re.compile(r"Given value: (?P<value>.*)")
_UNKNOWN = re.compile(r"(?:.* does not accept o|O)ption '(?P<key>[^']+)'.*")
_ARGUMENT = re.compile(r"unrecognized arguments: (?P<word>[^\s=]+).*")
_MISNAMED = re.compile(r"(?:Expected a dot import path string: |Import path (?=.* does not correspond))(?P<name>\S+).*")
_MISSING = re.compile(r"(?:the following arguments are required|Key is required|.*is required.*): (?P<key>\S+).*")
_MISTYPED = re.compile(r"Expected (?:an? )?(?P<type>.+?)(?:\. Got value: (?P<value>.*))?")
_CLASSLESS = re.compile(r"Not a valid subclass of .*")
_UNIMPORTABLE = re.compile(r"No module named|module .* has no attribute|cannot import|.*not found in module")
_UNASKED = re.compile(r"Importing '(?P<name>[^']+)' is not allowed.*")
_UNINSTALLED = re.compile(r"Requirement '(?P<package>[\w-]+)[^']*' not met")
_NOISE = re.compile(r"Does not validate against any.*|Errors:|Given value type: .*|Expected a path but .*")


@dataclass
class _Place:
    """Where in the tree a line stands.

    Attributes:
        indent: How far the line that leads here is indented.
        key: The key so far, without the levels called `init_args`.
        owner: The dotted path of the class whose keys these are; empty for the sections of the configuration.
        types: What the value may be, as jsonargparse writes types.
        value: What it is.
    """

    indent: int
    key: str = ""
    owner: str = ""
    types: str = ""
    value: str = ""


@dataclass(frozen=True)
class Complaint:
    """What is wrong with one key.

    Attributes:
        key: The key; empty where the message names none.
        text: What is wrong, and what to do about it.
    """

    key: str
    text: str


def explain(message: str, known: list[str]) -> Complaint:
    """Find the fault in an answer of jsonargparse.

    Args:
        message: The answer, of one line or many.
        known: Every key the command takes, such as `trainer.max_epochs`.
    """
    complaints = sorted(_complaints(message, known), key=lambda ranked: ranked[0])  # stable: the first of its rank
    return complaints[0][1]


def classless(key: str, *bases: type) -> Complaint:
    """The complaint about a key that wants an object of one of these, and names no class."""
    names = class_names(*bases)
    return Complaint(key, f"{key} has no class_path: set it to one of {', '.join(names)}, and its keys in init_args")


def one_line(message: str) -> str:
    """A message of many lines in one."""
    return " ".join(message.split())


def of_logger(error: Exception) -> InputError | None:
    """What an error says that came about in a logger, or in the package that it logs with: of whatever class it is."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    if not any(str(module).startswith("lightning.pytorch.loggers.") for module in modules):
        return None
    return InputError(f"trainer.logger cannot be used ({reason(error)}): correct its keys")


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what a class said of its arguments, without what jsonargparse wraps around it.

    Raises:
        InputError: If a class refused its arguments, or needs a package that is not installed.
    """
    try:
        yield
    except ValueError as error:
        cause: BaseException = error
        while not isinstance(cause, InputError) and _NOISE.match(str(cause)) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        if match := _UNINSTALLED.search(str(cause)):
            raise InputError(_install(match["package"])) from error
        if isinstance(cause, Exception) and (complaint := of_logger(cause)):
            raise complaint from error
        if not isinstance(cause, ValueError | TypeError):  # a fault of the class, not of what it was given
            raise cause from None
        raise InputError(f"the configuration is refused ({one_line(str(cause))}): correct the value") from error


def _install(package: str) -> str:
    extras = metadata("lightning-clf").get_all("Provides-Extra") or []
    wanted = f"lightning-clf[{package}]" if package in extras else package
    return f"package {package} is not installed: pip install '{wanted}'"


def _complaints(message: str, known: list[str]) -> Iterator[tuple[int, Complaint]]:
    """Every fault, with a rank: the surer we are that a fault is what the user should hear of, the lower."""
    for place, text in _faults(message):
        key = place.key
        if match := _ARGUMENT.fullmatch(text):
            yield 0, _unknown_argument(match["word"], known)
        elif match := _UNASKED.search(text):
            yield 0, _unasked(key, match["name"])
        elif match := _UNKNOWN.fullmatch(text):
            yield 0, _unknown_key(_join(key, match["key"]), place.owner, known)
        elif match := _MISNAMED.fullmatch(text):
            yield 1, _misnamed(key, match["name"].rstrip("."), place.types)
        elif match := _MISSING.fullmatch(text):
            missing = _join(key, match["key"].rstrip("."))
            yield 1, Complaint(missing, f"{missing} is missing: set it, or give --{missing}")
        elif _UNIMPORTABLE.match(text) and place.owner:
            yield 1, _unimportable(_join(key, "class_path"), place.owner, text)
        elif match := _CLASSLESS.fullmatch(text):
            yield 2, classless(key, *classes_in(place.types))
        elif match := _MISTYPED.fullmatch(text):
            yield 2 if match["type"] != "<class 'NoneType'>" else 4, _mistyped(place, match)
        elif text:
            yield 3, Complaint(key, f"{key}: {text}: correct it" if key else f"{text}: see --help")
    yield 5, Complaint("", one_line(message))


def _faults(message: str) -> list[tuple[_Place, str]]:
    """The lines that say what is wrong, each with the place it speaks of."""
    path = [_Place(-1)]
    found: list[tuple[_Place, str]] = []
    for line in filter(str.strip, message.splitlines()):
        text = line.strip().removeprefix("- ").strip()
        indent = len(line) - len(line.lstrip())
        while path[-1].indent >= indent:
            path.pop()
        place = path[-1]
        if match := _KEY.fullmatch(text):
            place = _Place(indent, _join(place.key, match["key"]))
            path.append(place)
            text = match["rest"]
        if match := _CLASS.fullmatch(text):
            path.append(_Place(indent, place.key, match["owner"]))
        elif match := _TYPES.fullmatch(text):
            place.types = place.types or match["types"]
        elif match := _VALUE.fullmatch(text):
            place.value = place.value or match["value"]
        elif text and not _NOISE.fullmatch(text):
            found.append((place, text))
    return found


def _unknown_argument(word: str, known: list[str]) -> Complaint:
    if not word.startswith("-"):
        return Complaint("", f"argument {word!r} is not understood: options start with --, as in --config FILE")
    return _unknown_key(word.lstrip("-").replace("init_args.", "").rstrip("+"), "", known)


def _unknown_key(key: str, owner: str, known: list[str]) -> Complaint:
    parent, _, name = key.rpartition(".")
    if owner:
        candidates = class_keys(pydoc.locate(owner))
        close = guess(name, candidates)
        hint = f"did you mean {_join(parent, close)}?" if close else f"its keys are {', '.join(candidates)}"
        return Complaint(key, f"{key} is not a key of {owner.rpartition('.')[2]}: {hint}")
    elsewhere = [candidate for candidate in known if candidate.rpartition(".")[2] == name]
    close = next(iter(elsewhere), None) or guess(key, known)
    depth = key.count(".") + 1
    siblings = dict.fromkeys(".".join(item.split(".")[:depth]) for item in known if item.startswith(key[: -len(name)]))
    if not (close or siblings):  # it is the section that nobody knows
        return _unknown_key(parent, owner, known)
    close = close or guess(key, siblings)
    hint = f"did you mean {close}?" if close else f"the keys here are {', '.join(siblings)}"
    return Complaint(key, f"{key} is not a key of the configuration: {hint}")


# how jsonargparse holds a key of a class that nobody has named
_NESTED = re.compile(r"NestedArg\(key='([^']+)'")


def _misnamed(key: str, name: str, types: str) -> Complaint:
    if key == "model" and ("/" in name or os.path.exists(name)):
        said = f"model is {name!r}, but must be a class: give a checkpoint as --ckpt_path FILE, such as RUN/best.ckpt"
        return Complaint(key, f"{said}; to answer rows, use lightning-clf predict --model {name}")
    candidates = class_names(*classes_in(types))
    close = guess(name.rpartition(".")[2], candidates)
    listed = f"use one of {', '.join(candidates)}" if 0 < len(candidates) <= 8 else "use one that fits"
    hint = f"did you mean {close}?" if close else f"{listed}, or the dotted path of a class of your own"
    key = _join(key, "class_path")
    return Complaint(key, f"{key} {name!r} is not a class that fits here: {hint}")


def _mistyped(place: _Place, match: re.Match[str]) -> Complaint:
    expected = type_names(place.types or match["type"])
    value = place.value or match["value"] or "something else"
    if place.key and (nested := _NESTED.match(value)):
        said = f"{_join(place.key, nested[1])} is given, but not the class it is a key of"
        return Complaint(place.key, f"{said}: add a --config that names one, or --{place.key} CLASS")
    close = guess(value, expected)
    if LIST_OF_TEXTS in expected and value.startswith("["):
        hint = "put each of them in quotes"
    else:
        hint = f"did you mean {close}?" if close else "correct it"
    subject = place.key or "a value"
    return Complaint(place.key, f"{subject} is {value}, but must be {_any_of(expected)}: {hint}")


def _unasked(key: str, name: str) -> Complaint:
    said = f"{key or 'the configuration'} names {name!r}, which is not this library's and is not run unasked"
    remedy = f"if you trust it, add --import {name.rpartition('.')[0]}, or name the configuration with --config"
    return Complaint(key, f"{said}: {remedy}")


def _unimportable(key: str, class_path: str, reason: str) -> Complaint:
    remedy = "install the package that defines it, or put its folder on PYTHONPATH"
    return Complaint(key, f"{key} {class_path!r} cannot be imported ({reason}): {remedy}")


def _any_of(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _join(key: str, name: str) -> str:
    return ".".join(part for part in (*key.split("."), *name.split(".")) if part and part != "init_args")
