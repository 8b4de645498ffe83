"""What tells whether a file or a model is the one it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_clf.artefact import Artefact
from lightning_clf.data.readers import readable


def file_digest(path: Path) -> str:
    """The digest of a file's bytes: reading them takes a small part of the time it takes to answer them.

    Raises:
        InputError: If it cannot be read.
    """
    with readable(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_digest(artefact: Artefact) -> str:
    """The digest of weights, tokenizer, labels and all else that answers follow from."""
    description = artefact.describe()
    backend = description["tokenizer"].pop("tokenizer.json", None)
    if backend is not None:
        # a tokenizer that was used says how it was cut and padded last
        description["backend"] = json.loads(backend.numpy().tobytes()) | {"truncation": None, "padding": None}
    digest = hashlib.sha256(json.dumps(description, default=_told).encode())
    for name, tensor in sorted(artefact.network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _told(value: Any) -> Any:
    return hashlib.sha256(_bytes(value) if isinstance(value, Tensor) else value).hexdigest()


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
