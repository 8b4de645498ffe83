"""Rows in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import torch

from lightning_clf.encoding import Collator
from lightning_clf.errors import InputError
from lightning_clf.graph import load_runnable
from lightning_clf.inference.answers import Answer, answer
from lightning_clf.inference.columns import answer_columns
from lightning_clf.inference.inputs import Inputs, ReadRow
from lightning_clf.inference.room import batches
from lightning_clf.labels import LabelSpace
from lightning_clf.scorer import Runnable


def load_classifier(path: str | Path, columns: Mapping[str, str] | None = None) -> Classifier:
    """Load a checkpoint or an export folder, of weights or of a graph, for prediction.

    Args:
        path: The checkpoint or the folder.
        columns: As `Classifier` takes them.

    Raises:
        InputError: If it is neither, or damaged.
    """
    return Classifier(load_runnable(path), columns)


class Classifier:
    """A trained network with all that a row must go through, on one device.

    Args:
        artefact: What `load_runnable` read, or a module's `artefact`.
        columns: Which columns to read, by role (`text`, `text_pair`, `tokens`), where they are not those of training.

    Attributes:
        asks: The language model that is asked too; empty where none is.
    """

    def __init__(self, artefact: Runnable, columns: Mapping[str, str] | None = None) -> None:
        self.artefact = artefact
        self.network = artefact.network
        self.inputs = Inputs(artefact, columns or {})
        self.collate = Collator(artefact.tokenizer, artefact.labels)
        self.asks = ""

    @property
    def labels(self) -> LabelSpace:
        """The label space."""
        return self.artefact.labels

    @property
    def answer_columns(self) -> dict[str, pa.DataType]:
        """The columns of an answer in a table."""
        return answer_columns(self.labels, self.artefact.decision)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move the network to a device, or change the type of its weights.

        Args:
            device: Where to run; `None` stays.
            dtype: `torch.bfloat16` takes half the memory, and is faster where the machine multiplies it; probabilities
                are computed in float32 from scores that are less exact. `None` leaves the weights as they are.

        Raises:
            InputError: If there is no such device.
        """
        try:
            self.network.to(device=device, dtype=dtype)
        except (RuntimeError, AssertionError) as error:  # the latter where PyTorch was built without CUDA
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"device {str(device)!r} cannot be used ({reason}): choose another, such as cpu"
            ) from error
        return self

    def predict(self, rows: Sequence[str | Mapping[str, Any]], batch_size: int = 32) -> list[Answer]:
        """Answer rows, in their order.

        Rows are batched by length, so that little is spent on padding.

        Args:
            rows: Strings, or mappings with the columns the classifier reads.
            batch_size: How many rows share a forward pass; of texts in windows, how many windows.

        Returns:
            One answer a row, in plain Python values: `label` with `probability` and `probabilities`; `labels` with
            `probabilities`; `tokens`, `tags`, `probabilities` and `entities`; or `score`.

        Raises:
            InputError: If a row lacks a column or holds something else in it.
        """
        read = [self.inputs.read(row, f"row {number}") for number, row in enumerate(rows, start=1)]
        return self.predict_read(read, batch_size)

    def predict_read(self, read: Sequence[Any], batch_size: int) -> list[Answer]:
        """Answer rows that `inputs.read` has read."""
        if not read:
            return []
        training = self.network.training
        self.network.eval()
        try:
            return self._predict_encoded(self.inputs.encode(read), read, batch_size)
        finally:
            self.network.train(training)  # a module that predicts between two epochs goes on learning with dropout

    def _predict_encoded(self, encoded: list[dict[str, Any]], read: Sequence[Any], batch_size: int) -> list[Answer]:
        answers: list[Answer] = [{} for _ in encoded]
        for chosen in batches(encoded, batch_size):
            found = self.answer_batch([encoded[index] for index in chosen], [read[index] for index in chosen])
            for index, result in zip(chosen, found, strict=True):
                answers[index] = result
        return answers

    def answer_batch(self, encoded: Sequence[Mapping[str, Any]], read: Sequence[ReadRow]) -> list[Answer]:
        """Answer rows in one forward pass, in their order, by a network that is in evaluation mode.

        Args:
            encoded: What `inputs.encode` made of each.
            read: What `inputs.read` made of each.
        """
        batch = self.collate(encoded).to(self.network.device)
        with torch.inference_mode():
            prediction = self.network.predict(batch)
        return [answer(self.labels, prediction, place, row) for place, row in enumerate(read)]
