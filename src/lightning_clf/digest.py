"""What tells whether a model is the one it was."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from lightning_clf.encoding.tokenizer import tokenizer_to_bytes
from lightning_clf.scorer import Runnable
from lightning_clf.together import TaskArtefacts


def model_digest(artefact: Runnable) -> str:
    """The digest of weights, tokenizer, labels and all else that answers follow from."""
    network, tokenizer = artefact.network, tokenizer_to_bytes(artefact.tokenizer)
    description = {
        "config": json.loads(network.config.to_json_string(use_diff=False)),
        "tokenizer": tokenizer,
        "head": network.head.spec(),
        "labels": artefact.labels.to_dict(),
        "max_length": artefact.max_length,
        "stride": artefact.stride,
        "symmetric": artefact.symmetric,
        "columns": artefact.columns,
        "decision": artefact.decision.to_dict(),
        "program": network.program,
    }
    backend = tokenizer.pop("tokenizer.json", None)
    if backend is not None:
        # a tokenizer that was used says how it was cut and padded last
        description["backend"] = json.loads(backend.numpy().tobytes()) | {"truncation": None, "padding": None}
    digest = hashlib.sha256(json.dumps(description, default=_told).encode())
    digest.update(weights_digest(network).encode())
    return digest.hexdigest()


def together_digest(artefacts: TaskArtefacts) -> str:
    """The digest of all that the answers of several tasks follow from."""
    parts = {name: model_digest(part) for name, part in artefacts.parts.items()}
    told = json.dumps([*parts.items(), weights_digest(artefacts.trunk)])
    return hashlib.sha256(told.encode()).hexdigest()


def weights_digest(module: nn.Module) -> str:
    """The digest of weights and buffers alone, by their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _told(value: Any) -> Any:
    return hashlib.sha256(_bytes(value) if isinstance(value, Tensor) else value).hexdigest()


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
