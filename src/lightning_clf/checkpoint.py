"""A checkpoint as Lightning writes it, with a section of ours: read without running what is in it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_clf.errors import InputError
from lightning_clf.files import check_checkpoint_file
from lightning_clf.finetuning.adapters import merged
from lightning_clf.stored import COMPONENT, DESCRIPTION, MAPPING, Shape, check, check_task_names, damage_named

SECTION = "lightning_clf"
"""The key under which a checkpoint holds all that loading needs besides the weights."""
TASKS = "tasks"
"""The key of that part which holds the artefact of each task, where a module is of several."""
FORMAT = 1
"""Which form that part has; another number when an older version could not read it."""
OTHER = "use another, such as last.ckpt"
"""What to do about one that is damaged."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of this library, tensors and primitives only.

    Raises:
        InputError: If there is no such file, it is cut off or damaged, or another program, or another version of this
            one, wrote it.
    """
    path = Path(path)
    check_checkpoint_file(path)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint {path} holds more than tensors and primitives, or is damaged: it was not read, since loading "
            "it could run code; use one that this library wrote"
        ) from error
    except Exception as error:  # a damaged file can make an unpickler raise anything
        raise InputError(f"checkpoint {path} is damaged or cut off: {OTHER}") from error
    if not isinstance(checkpoint, dict) or SECTION not in checkpoint:
        raise InputError(f"checkpoint {path} was not written by lightning-clf: use one that `fit` wrote")
    section = checkpoint[SECTION]
    if isinstance(section, dict) and (found := section.get("format")) != FORMAT:
        raise InputError(
            f"checkpoint {path} has format {found}, and this version of lightning-clf reads {FORMAT}: use the version "
            "that wrote it"
        )
    with damage_named(f"checkpoint {path}", OTHER):
        several = section.get(TASKS) if isinstance(section, dict) else None
        check_task_names(several or ())
        each: Shape = dict.fromkeys(several, DESCRIPTION) if isinstance(several, dict) else DESCRIPTION
        key = TASKS if several else "artefact"
        check(checkpoint, {"state_dict": MAPPING, SECTION: {"module": COMPONENT, key: each}}, "it")
    return checkpoint


def merge_stored(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights a checkpoint holds, with the adapters it was trained with added in, if there are any.

    Raises:
        InputError: If adapters are incomplete.
    """
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    with damage_named("the checkpoint", OTHER):
        section = checkpoint[SECTION]
        described = next(iter(section[TASKS].values())) if TASKS in section else section["artefact"]
        return merged(weights, described.get("adapter_scaling"))
