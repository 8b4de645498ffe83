"""Asking a teacher: what decides its answers to a split, and all of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from tqdm.auto import tqdm

from lightning_clf.data import BaseDataModule, cache
from lightning_clf.data.checks import column
from lightning_clf.data.loading import EncodedRows, Place
from lightning_clf.digest import model_digest
from lightning_clf.distillation.answers import Answered, Answers
from lightning_clf.distillation.teacher import Teacher

_VERSION = 1  # of what is kept; raised when the same teacher is to answer differently


@dataclass(frozen=True)
class Machine:
    """Where and how a teacher computes.

    Attributes:
        device: Where.
        precision: What `trainer.precision` is.
        context: The context of a forward pass in it.
    """

    device: torch.device
    precision: str
    context: Callable[[], contextlib.AbstractContextManager[Any]]


def key_of(parts: dict[str, Any]) -> str:
    """A digest of all that decides what is kept."""
    return hashlib.sha256(json.dumps({"version": _VERSION, **parts}, sort_keys=True).encode()).hexdigest()


def ask(teacher: Teacher, data: BaseDataModule[Any], split: str, machine: Machine) -> str:
    """Have a teacher answer the rows of a split, unless it has.

    It reads the rows themselves, with its own tokenizer and in its own window.

    Returns:
        The name of the folder in the cache that holds its answers.

    Raises:
        InputError: If the cache cannot be written, or the teacher cannot answer.
    """
    artefact, source = teacher.artefact, data.splits[split]
    encoding = replace(
        data.encodings()[split],
        tokenizer=artefact.tokenizer,
        max_length=artefact.max_length,
        stride=artefact.stride,
    )
    key = key_of(
        {
            "teacher": model_digest(artefact),
            "order": teacher.order,
            "rows": encoding.key(source),
            "precision": machine.precision,
        }
    )
    rows, _ = cache.prepare(source, encoding, data.cache_dir)
    labels = encoding.labels

    def answers() -> Answered:
        rank_zero_info(f"{teacher.name} answers the {len(rows)} rows of {source.name}, once for all fits")
        encoded = EncodedRows(rows, artefact.tokenizer, labels, artefact.max_length)
        return _answered(teacher, encoded, data, machine)

    Answers.made(data.cache_dir / key, rows, len(labels), answers)
    return key


def _answered(teacher: Teacher, encoded: EncodedRows, data: BaseDataModule[Any], machine: Machine) -> Answered:
    network = teacher.artefact.network.to(machine.device)
    ids = column(encoded.rows, "example_id").to_numpy()
    loader = data.loading.evaluate(encoded, Place(device=machine.device))
    try:
        for batch in tqdm(loader, desc="the teacher answers", unit=" batches", disable=None, leave=False):
            with torch.no_grad(), machine.context():
                logits = teacher.logits(batch.to(machine.device)).cpu().numpy()
            for line, place in enumerate(np.searchsorted(ids, batch.example_ids.numpy())):
                if batch.word_counts is None:
                    yield int(place), logits[line].reshape(1, -1)
                else:
                    yield int(place), logits[line, : batch.word_counts[line]]
    finally:
        network.cpu()
