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
from datasets import Dataset, concatenate_datasets
from lightning.pytorch.utilities import rank_zero_info
from tqdm.auto import tqdm

from lightning_clf.data import BaseDataModule, cache
from lightning_clf.data.checks import column
from lightning_clf.data.loading import EncodedRows, Place
from lightning_clf.data.prepared import UNLABELLED
from lightning_clf.data.text_rows import TextRows
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


class Asked:
    """The rows of train that a teacher is asked about, and those without labels, if there are any.

    Args:
        data: The datamodule.
        **reading: What a teacher reads rows with that is not the student's, as `Encoding` has it.
    """

    def __init__(self, data: BaseDataModule[Any], **reading: Any) -> None:
        encodings = data.encodings()
        self.data = data
        self.splits = {name: data.splits[name] for name in ("train", UNLABELLED) if name in data.splits}
        self.encodings = {name: replace(encodings[name], **reading) for name in self.splits}

    def prepare(self) -> Dataset:
        """Their encoded rows, in the order of their ids."""
        prepare, folder = cache.prepare, self.data.cache_dir
        return concatenate_datasets(
            [prepare(self.splits[name], self.encodings[name], folder)[0] for name in self.splits]
        )

    def key(self, **teacher: Any) -> str:
        """A digest of all that decides what a teacher answers to them."""
        rows = [self.encodings[name].key(self.splits[name]) for name in self.splits]
        return hashlib.sha256(json.dumps({"version": _VERSION, "rows": rows, **teacher}).encode()).hexdigest()


def ask(teacher: Teacher, data: BaseDataModule[Any], machine: Machine) -> str:
    """Have a teacher answer the rows of train, unless it has.

    It reads the rows themselves, with its own tokenizer and in its own window.

    Returns:
        The name of the folder in the cache that holds its answers.

    Raises:
        InputError: If the cache cannot be written, or the teacher cannot answer.
    """
    artefact, rows_are = teacher.artefact, data.row_format
    if artefact.symmetric and isinstance(rows_are, TextRows):  # as it answers anyone
        rows_are = replace(rows_are, symmetric=True)
    asked = Asked(
        data, rows=rows_are, tokenizer=artefact.tokenizer, max_length=artefact.max_length, stride=artefact.stride
    )
    key = asked.key(teacher=model_digest(artefact), order=teacher.order, precision=machine.precision)
    rows = asked.prepare()

    def answer() -> Answered:
        rank_zero_info(f"{teacher.name} answers the {len(rows)} rows of train, once for all fits")
        encoded = EncodedRows(rows, artefact.tokenizer, data.labels, artefact.max_length)
        return _answered(teacher, encoded, data, machine)

    Answers.made(data.cache_dir / key, rows, len(data.labels), answer)
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
