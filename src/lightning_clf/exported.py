"""The files of an export folder: each written whole, or read with what is missing in it named."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.errors import InputError, reason
from lightning_clf.network import made_up, quiet_transformers


def read_encoder(folder: Path, encoder: PreTrainedModel, options: dict[str, Any]) -> dict[str, Tensor]:
    """The weights that a folder holds for an encoder.

    Args:
        folder: What `save_pretrained` wrote.
        encoder: The encoder, with random weights.
        options: What it was made with besides its configuration.

    Raises:
        ValueError: If some are missing or of another shape.
    """
    # through from_pretrained, which knows the names older versions of an architecture saved under
    with quiet_transformers():
        load: Any = type(encoder).from_pretrained
        model, loaded = load(
            folder,
            config=encoder.config,
            dtype=torch.float32,
            use_safetensors=True,  # where they are missing a pickle would be looked for
            ignore_mismatched_sizes=True,  # and refused below, by name
            output_loading_info=True,
            **options,
        )
    if random := made_up(loaded):
        raise ValueError(f"{len(random)} tensors are missing or of another shape, such as {random[0]}")
    state: dict[str, Tensor] = model.state_dict()
    return state


def load_weights(module: nn.Module, weights: dict[str, Tensor], path: str | Path, *, strict: bool = True) -> None:
    """Load stored weights into the module their description made.

    Raises:
        InputError: If some are missing, too many or of another shape.
    """
    try:
        module.load_state_dict(weights, strict=strict)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not hold the weights its own description asks for ({reason(error)}): use another"
        ) from error


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer's files to a folder.

    Raises:
        OSError: If the disk is full.
    """
    with full_disk(Exception):  # the tokenizers library has no class of its own for it
        tokenizer.save_pretrained(folder)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write primitives for people to read too."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def full_disk(kind: type[Exception]) -> Iterator[None]:
    """Raise as an `OSError` what a library says of a disk that is full in a class of its own."""
    try:
        yield
    except OSError:
        raise
    except kind as error:
        raise OSError(str(error)) from error
