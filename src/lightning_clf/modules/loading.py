"""A trained module out of a checkpoint, which alone says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from lightning_clf.artefact import SECTION, read_checkpoint
from lightning_clf.component import from_spec, import_class
from lightning_clf.errors import InputError

if TYPE_CHECKING:
    from lightning_clf.modules.base import ClassifierModule

M = TypeVar("M", bound="ClassifierModule")

_FIXED = ("encoder", "head", "labels", "encoder_options")
_OF_THE_LOSS = frozenset({"loss", "class_weights"})


def load_module(cls: type[M], path: str, overrides: dict[str, Any]) -> M:
    """Make the module a checkpoint holds, and give it its weights.

    Args:
        cls: What it must be an instance of.
        path: The checkpoint.
        overrides: Arguments of the module to change.

    Raises:
        InputError: If the checkpoint cannot be read, is of another class, or an override contradicts it.
    """
    checkpoint = read_checkpoint(path)
    spec = checkpoint[SECTION]["module"]
    stored = import_class(spec["class_path"], cls if issubclass_of_modules(cls) else cls)
    if not issubclass(stored, cls):
        raise InputError("unreachable")
    return stored
