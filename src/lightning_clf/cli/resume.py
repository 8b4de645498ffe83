"""A module out of a checkpoint, held against what the configuration says of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningDataModule

from lightning_clf.artefact import SECTION, read_checkpoint
from lightning_clf.component import Component, Spec, import_class
from lightning_clf.errors import InputError
from lightning_clf.modules import ClassifierModule


def module_from_checkpoint(path: str, described: ClassifierModule | None, given: Iterable[str]) -> ClassifierModule:
    """Load the module a checkpoint holds.

    Args:
        path: The checkpoint.
        described: The module the configuration describes, not built; `None` where it describes none.
        given: The names of the arguments that the configuration gives, as against leaving them to their defaults.

    Raises:
        InputError: If the checkpoint cannot be read, or a given argument contradicts it.
    """
    if described is not None:
        _compare(read_checkpoint(path)[SECTION]["module"], described.spec(), given, path)
    return ClassifierModule.load_from_checkpoint(path)


def nothing_left(
    path: str, datamodule: LightningDataModule, max_epochs: int | None, max_steps: int | None
) -> str | None:
    """Hold the epochs and steps behind a checkpoint against those that are asked for.

    Args:
        path: The checkpoint.
        datamodule: What the run goes on with; its state in the checkpoint says where the run stood.
        max_epochs: `trainer.max_epochs`.
        max_steps: `trainer.max_steps`.

    Returns:
        Where there is none left to train, so that nothing would be done but files written over, what to do about it.
    """
    checkpoint = read_checkpoint(path)
    epochs = checkpoint.get(datamodule.__class__.__qualname__, {}).get("epoch", 0)
    for what, done, most in (("epochs", epochs, max_epochs), ("steps", checkpoint["global_step"], max_steps)):
        if most is not None and 0 <= most <= done:
            return f"checkpoint {path} has {done} {what} behind it, trainer.max_{what} is {most}: set it above {done}"
    return None


def _compare(stored: Spec, described: Spec, given: Iterable[str], path: str) -> None:
    if described["class_path"] != stored["class_path"]:
        raise InputError(
            f"checkpoint {path} is of a {stored['class_path']}, but model.class_path is {described['class_path']}: "
            "leave model out, or give a checkpoint of that class"
        )
    before, now = _filled(stored)["init_args"], _filled(described)["init_args"]
    for key in given:
        if now[key] != before[key]:
            raise InputError(
                f"model.{key} is {_shown(now[key])}, but checkpoint {path} was trained with {_shown(before[key])}: "
                "leave the key out, or leave --config out to take the run's own, or train anew without --ckpt_path"
            )


def _filled(spec: Spec) -> Spec:
    """A specification with its defaults written out, those of the components in it included."""
    init_args = {**_defaults(spec["class_path"]), **spec["init_args"]}
    return {**spec, "init_args": {key: _filled_value(value) for key, value in init_args.items()}}


def _filled_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled_value(item) for item in value]
    if isinstance(value, dict):
        is_component = set(value) == {"__component__"}
        return {key: _filled(item) if is_component else _filled_value(item) for key, item in value.items()}
    return value


def _defaults(class_path: str) -> dict[str, Any]:
    """The defaults of every argument of a class, those it passes on to its bases included."""
    defaults: dict[str, Any] = {}
    for base in reversed(import_class(class_path, Component).__mro__):
        if "__init__" in vars(base) and issubclass(base, Component):
            parameters = inspect.signature(base.__init__).parameters.values()
            defaults |= {item.name: item.default for item in parameters if item.default is not item.empty}
    return defaults


def _shown(value: Any) -> str:
    """A value as a message shows it: a component by its class and arguments."""
    if isinstance(value, dict) and set(value) == {"__component__"}:
        spec = value["__component__"]
        arguments = ", ".join(f"{key}={_shown(item)}" for key, item in spec["init_args"].items())
        return f"{spec['class_path'].rpartition('.')[2]}({arguments})"
    return repr(value)
