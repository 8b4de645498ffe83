"""What an export folder or a checkpoint must hold besides weights, and what is said where it does not."""

from __future__ import annotations

import contextlib
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from lightning_clf.encoding.tokenizer import ENCODER
from lightning_clf.errors import InputError, reason
from lightning_clf.labels import LabelSpace


@dataclass(frozen=True)
class Value:
    """What stands under a key.

    Attributes:
        what: What it must be, as a message says it.
        fits: Whether something is that.
    """

    what: str
    fits: Callable[[Any], bool]


Shape: TypeAlias = "Value | Mapping[str, Shape]"  # a mapping of keys that must be there; others may be


def _is_mapping(value: Any, fits: Callable[[Any], bool] = lambda item: True) -> bool:
    """Whether it is a mapping from strings to what fits."""
    return isinstance(value, dict) and all(isinstance(key, str) and fits(item) for key, item in value.items())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.uint8


_TEXT = Value("a string", _is_text)
_TEXTS = Value("a list of strings", lambda value: isinstance(value, list) and all(map(_is_text, value)))
_COUNT = Value("a whole number from 1 up", lambda value: type(value) is int and value > 0)
MAPPING = Value("a mapping", _is_mapping)
_COLUMNS = Value("a mapping from roles to columns", lambda value: _is_mapping(value, _is_text))
_FILES = Value("a mapping from file names to bytes", lambda value: _is_mapping(value, _is_bytes))

COMPONENT: Shape = {"class_path": _TEXT, "init_args": MAPPING}
CONFIG: Shape = {"model_type": _TEXT}
"""An encoder's configuration."""
OWN_PART: Mapping[str, Shape] = {
    "head": COMPONENT,
    "labels": {"names": _TEXTS, "kind": _TEXT},
    "max_length": _COUNT,
    "columns": _COLUMNS,
}
"""What neither the encoder's configuration nor its tokenizer has a place for."""
DESCRIPTION: Shape = {**OWN_PART, "config": CONFIG, "tokenizer": _FILES}
"""An artefact without its weights."""
TASK_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""What a task may be called, since its export is a folder of this name."""


def check(content: Any, shape: Shape, name: str, prefix: str = "") -> None:
    """Hold what was read against the shape it must have.

    Args:
        content: What was read.
        shape: Its shape.
        name: What a message calls it.
        prefix: What stands before its keys in a message.

    Raises:
        ValueError: At the first entry that is missing or is something else.
    """
    if isinstance(shape, Value):
        if not shape.fits(content):
            raise ValueError(f"{name} is {reprlib.repr(content)}, not {shape.what}")
        return
    check(content, MAPPING, name)
    for key, inner in shape.items():
        if key not in content:
            raise ValueError(f"{name} has no {key!r}")
        check(content[key], inner, f"{prefix}{key}", f"{prefix}{key}.")


def check_task_names(names: Iterable[str]) -> None:
    """Hold names of tasks against what a folder beside that of the encoder may be called, whoever wrote them.

    Raises:
        ValueError: At the first that is no such name.
    """
    for name in names:
        if not TASK_NAME.fullmatch(name) or name.lower() == ENCODER:
            raise ValueError(f"{name!r} is no name of a task")


def read_json(file: Path, shape: Shape) -> dict[str, Any]:
    """Read a JSON file and hold it against its shape.

    Raises:
        ValueError: If it is no JSON in UTF-8, or of another shape.
        OSError: If it cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} is no JSON: {error}") from error
    check(content, shape, file.name)
    return content


def stored_labels(stored: dict[str, Any]) -> LabelSpace:
    """The label space that a description holds.

    Raises:
        ValueError: If it holds none.
    """
    try:
        return LabelSpace.from_dict(stored)
    except InputError as error:  # it is said to whoever declares labels, and here nobody does
        raise ValueError(str(error)) from error


def stored_stride(own_part: dict[str, Any]) -> int | None:
    """How many subwords windows repeat, as a description has it.

    Raises:
        ValueError: If that is no such number.
    """
    stride: int | None = own_part.get("stride")
    if stride is not None and not (type(stride) is int and 0 <= stride < own_part["max_length"]):
        raise ValueError(f"stride is {stride!r}, no number of subwords below max_length {own_part['max_length']}")
    return stride


@contextlib.contextmanager
def damage_named(what: str, remedy: str) -> Iterator[None]:
    """Say of everything that goes wrong in reading a file that the file is damaged.

    What is in it decides what transformers and PyTorch stumble over, so that no narrower class of error will do.

    Args:
        what: The file or folder.
        remedy: What to do.

    Raises:
        InputError: In place of any error but an `InputError`, which says what is wrong itself.
        MemoryError: If there is too little memory.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except ImportError as error:
        raise InputError(f"{what} needs a package that is not installed ({reason(error)}): install it") from error
    except PermissionError as error:
        raise InputError(f"{what} cannot be read ({reason(error)}): change who may read it") from error
    except Exception as error:
        raise InputError(f"{what} is damaged ({reason(error)}): {remedy}") from error
