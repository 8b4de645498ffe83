"""A trained module out of a checkpoint, which alone says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from lightning_clf.checkpoint import SECTION, read_checkpoint
from lightning_clf.component import Component, from_spec, import_class
from lightning_clf.errors import InputError
from lightning_clf.exported import load_weights
from lightning_clf.labels import LabelSpace
from lightning_clf.modules.checks import check_labels

if TYPE_CHECKING:
    from lightning_clf.modules.built import BuiltModule
    from lightning_clf.modules.trained import TrainedModule

M = TypeVar("M", bound="TrainedModule")

_FIXED = ("encoder", "encoder_layers", "encoder_options", "head", "labels", "tasks")
_OF_THE_LOSS = {"loss", "class_weights"}


def load_module(cls: type[M], path: str, overrides: dict[str, Any], *, strict: bool = True) -> M:
    """Make the module a checkpoint holds, and give it its weights.

    Args:
        cls: What it must be an instance of.
        path: The checkpoint.
        overrides: Arguments of the module to change.
        strict: Whether weights that are missing or too many are refused.

    Raises:
        InputError: If the checkpoint cannot be read, is of another class, or an override contradicts it.
    """
    checkpoint = read_checkpoint(path)
    spec = checkpoint[SECTION]["module"]
    stored = import_class(spec["class_path"], Component)
    if not issubclass(stored, cls):
        raise InputError(
            f"checkpoint {path} is of a {stored.__name__}, not of a {cls.__name__}: load it with "
            f"{stored.__name__}.load_from_checkpoint"
        )
    for name in _FIXED:
        if name in overrides:
            raise InputError(f"{name} is what checkpoint {path} was trained with: leave it out, or train anew")
    try:
        module = from_spec({**spec, "init_args": {**spec["init_args"], **overrides}}, cls)
    except InputError as error:
        for name in overrides:
            if isinstance(error.__cause__, TypeError) and repr(name) in str(error.__cause__):
                raise InputError(f"{stored.__name__} takes no {name}: leave it out of load_from_checkpoint") from error
        raise
    module.on_load_checkpoint(checkpoint)
    weights = checkpoint["state_dict"]
    if _OF_THE_LOSS & overrides.keys():  # another loss has class weights of its own
        weights = {name: value for name, value in weights.items() if not name.startswith("loss.")}
        weights |= {name: value for name, value in module.state_dict().items() if name.startswith("loss.")}
    load_weights(module, weights, path, strict=strict)
    return module


def check_checkpoint(module: BuiltModule, checkpoint: dict[str, Any]) -> None:
    """Hold a checkpoint that a Trainer goes on from against a module that is built.

    Raises:
        InputError: If another program wrote it, or it is of another task or has other labels.
    """
    if SECTION not in checkpoint:
        raise InputError("the checkpoint was not written by lightning-clf: use one that `fit` wrote")
    described = checkpoint[SECTION].get("artefact")
    stored = LabelSpace.from_dict(described["labels"]) if described else None
    labels = module.network.labels
    if stored is None or stored.kind != labels.kind:
        class_path = checkpoint[SECTION]["module"]["class_path"]
        raise InputError(
            f"the checkpoint is of a {class_path}, not of a {type(module).__name__}: use one of that class"
        )
    check_labels(labels, stored)
