"""A module out of a checkpoint, held against what the configuration says of it."""

from __future__ import annotations

import inspect
from typing import Any

from lightning_clf.artefact import SECTION, read_checkpoint
from lightning_clf.component import Spec, import_class
from lightning_clf.errors import InputError
from lightning_clf.modules import ClassifierModule


def module_from_checkpoint(path: str, given: ClassifierModule | None) -> ClassifierModule:
    """Load the module a checkpoint holds.

    Args:
        path: The checkpoint.
        given: The module the configuration describes, not built; `None` where it describes none.

    Raises:
        InputError: If the checkpoint cannot be read, or an explicit key contradicts it.
    """
    if given is not None:
        _compare(read_checkpoint(path)[SECTION]["module"], given, path)
    return ClassifierModule.load_from_checkpoint(path)


def _compare(stored: Spec, given: ClassifierModule, path: str) -> None:
    described = given.spec()
    if described["class_path"] != stored["class_path"]:
        raise InputError(
            f"checkpoint {path} is of a {stored['class_path']}, but model.class_path is {described['class_path']}: "
            "leave model out, or give a checkpoint of that class"
        )
    defaults = _defaults(stored["class_path"])
    before = {**defaults, **stored["init_args"]}
    for key, value in described["init_args"].items():
        if value != before.get(key) and value != defaults.get(key):
            raise InputError(
                f"model.{key} is {value!r}, but checkpoint {path} was trained with {before.get(key)!r}: leave "
                "the key out, or leave --config out to take the run's own, or train anew without --ckpt_path"
            )


def _defaults(class_path: str) -> dict[str, Any]:
    """The defaults of every argument of a module, those it passes on to its bases included."""
    defaults: dict[str, Any] = {}
    for base in reversed(import_class(class_path, ClassifierModule).__mro__):
        if "__init__" in vars(base) and issubclass(base, ClassifierModule):
            parameters = inspect.signature(base.__init__).parameters.values()
            defaults |= {item.name: item.default for item in parameters if item.default is not item.empty}
    return defaults
