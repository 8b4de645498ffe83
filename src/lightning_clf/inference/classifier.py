"""Rows in, answers of one task out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightning_clf.batch import Batch
from lightning_clf.digest import model_digest
from lightning_clf.encoding import Collator
from lightning_clf.graph import load_runnable
from lightning_clf.inference.answers import Answer, answer
from lightning_clf.inference.columns import Carried, answer_columns
from lightning_clf.inference.finite import check_finite
from lightning_clf.inference.inputs import Inputs, ReadRow
from lightning_clf.inference.predictor import Predictor
from lightning_clf.labels import LabelSpace
from lightning_clf.scorer import Runnable


def load_classifier(path: str | Path, columns: Mapping[str, str] | None = None) -> Classifier:
    """Load a checkpoint or an export folder of one task, of weights or of a graph, for prediction.

    Args:
        path: The checkpoint or the folder.
        columns: As `Classifier` takes them.

    Raises:
        InputError: If it is neither, or damaged.
    """
    return Classifier(load_runnable(path), columns)


class Classifier(Predictor):
    """A trained network with all that a row must go through, on one device.

    Args:
        artefact: What `load_runnable` read, or a module's `artefact`.
        columns: Which columns to read, by role (`text`, `text_pair`, `tokens`), where they are not those of training.

    Raises:
        InputError: If one is named for pairs or words, which the model does not read.
    """

    inputs: Inputs

    def __init__(self, artefact: Runnable, columns: Mapping[str, str] | None = None) -> None:
        self.artefact = artefact
        self.network = artefact.network
        self.inputs = Inputs(artefact, columns or {})
        self.collate = Collator(artefact.tokenizer, artefact.labels)

    @property
    def labels(self) -> LabelSpace:
        """The label space."""
        return self.artefact.labels

    @property
    def modules(self) -> Sequence[nn.Module]:
        """The network."""
        return [self.network]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.device

    @property
    def window(self) -> int:
        """The window it was trained with."""
        return self.artefact.max_length

    def longest(self, encoded: Mapping[str, Any]) -> Mapping[str, Any]:
        """The one text, or pair of texts, of a row."""
        return encoded

    def answer_batch(self, encoded: Sequence[Mapping[str, Any]], read: Sequence[ReadRow]) -> list[Answer]:
        """Answer rows in one forward pass."""
        return self.answer_collated(self.collate(encoded).to(self.device), read)

    def answer_collated(self, batch: Batch, read: Sequence[ReadRow]) -> list[Answer]:
        """Answer a batch on the network's device, which `collate` made.

        Raises:
            InputError: If the network's scores are not all numbers.
        """
        with torch.inference_mode():
            scores = self.network(batch)
            check_finite(scores, batch, read)
            prediction = self.network.decide(scores, batch)
        return [answer(self.labels, prediction, place, row) for place, row in enumerate(read)]

    def answer_columns(self) -> dict[str, Any]:
        """The columns of an answer in a table, with their types."""
        return answer_columns(self.labels, self.artefact.decision)

    def carried(self, names: Sequence[str] | None) -> Carried:
        """What of a row stands beside its answer, which repeats the words of a tagger."""
        return Carried(self.answer_columns(), ["probabilities"], names, [self.inputs.tokens])

    def left_out(self, read: Sequence[ReadRow]) -> Counter[str]:
        """Nothing: a row that lacks a column is not read."""
        return Counter()

    def digest(self) -> str:
        """The digest of weights, tokenizer, labels and all else that answers follow from."""
        return model_digest(self.artefact)

    @property
    def heads(self) -> Sequence[type]:
        """The class of the network's head."""
        return [type(self.network.head)]
