"""What an encoder that was made to compare texts says of how its embeddings are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from lightning_clf.errors import InputError
from lightning_clf.heads.pooling import SequencePooling
from lightning_clf.stored import damage_named

_POOLINGS: dict[str, SequencePooling] = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}
_OLD_KEYS = {  # one key a pooling, as it was written before there was `pooling_mode`
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


def embedding_of(encoder: str) -> tuple[SequencePooling, bool]:
    """How an encoder's embeddings are pooled, and whether they are scaled to length 1.

    Read from the files that `sentence-transformers` writes beside an encoder, without that package.

    Args:
        encoder: A hub id, or a folder.

    Returns:
        What the encoder's `modules.json` says; the mean, as it is, where there is none.

    Raises:
        InputError: If it says something that `EmbeddingHead` does not do.
    """
    modules = _read(encoder, "modules.json")
    if modules is None:
        return "mean", False
    with damage_named(f"modules.json of encoder {encoder!r}", "set model.head to EmbeddingHead with a pooling"):
        parts = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
    for name in parts.keys() - {"Transformer", "Pooling", "Normalize"}:
        raise InputError(
            f"encoder {encoder!r} has a {name} in its modules.json, which EmbeddingHead does not have: set its pooling "
            "and normalize in model.head to do without, or choose another"
        )
    return _pooling(encoder, parts.get("Pooling")), "Normalize" in parts


def _pooling(encoder: str, path: str | None) -> SequencePooling:
    config = _read(encoder, f"{path}/config.json") if path else None
    if config is None:
        return "mean"
    modes = config.get("pooling_mode") or [mode for key, mode in _OLD_KEYS.items() if config.get(key)]
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise InputError(
            f"encoder {encoder!r} pools by {' and '.join(map(str, modes)) or 'nothing'}, which EmbeddingHead does not: "
            "set its pooling and normalize in model.head"
        )
    return _POOLINGS[modes[0]]


def _read(encoder: str, name: str) -> Any:
    """A JSON file beside an encoder; `None` where there is none."""
    file = cached_file(
        str(Path(encoder).expanduser()) if encoder.startswith("~") else encoder,
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return None
    with damage_named(f"{name} of encoder {encoder!r}", "set model.head to EmbeddingHead with a pooling"):
        return json.loads(Path(file).read_text(encoding="utf-8"))
