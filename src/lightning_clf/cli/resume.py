"""A module out of a checkpoint, held against what the configuration says of it."""

from __future__ import annotations

from collections.abc import Iterable

from lightning.pytorch import LightningDataModule

from lightning_clf.checkpoint import SECTION, read_checkpoint
from lightning_clf.component import Spec
from lightning_clf.errors import InputError
from lightning_clf.modules import TrainedModule
from lightning_clf.specs import filled, shown


def module_from_checkpoint(path: str, described: TrainedModule | None, given: Iterable[str]) -> TrainedModule:
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
    return TrainedModule.load_from_checkpoint(path)


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
    before, now = filled(stored)["init_args"], filled(described)["init_args"]
    for key in given:
        if now[key] != before[key]:
            raise InputError(
                f"model.{key} is {shown(now[key])}, but checkpoint {path} was trained with {shown(before[key])}: "
                "leave the key out, or leave --config out to take the run's own, or train anew without --ckpt_path"
            )
