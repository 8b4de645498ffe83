"""Held-out rows, scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.labelled import labelled_batches, open_labelled


class HeldOut(NamedTuple):
    """Rows whose answers are known, or for tags their words.

    Attributes:
        logits: The network's scores, float32 `[N,C]`.
        targets: The right class indices int64 `[N]`, or where any number of labels may be right bool `[N,C]`.
    """

    logits: Tensor
    targets: Tensor


def read_held_out(classifier: Classifier, file: str, columns: Mapping[str, str], batch_size: int) -> HeldOut:
    """Read a file of labelled rows and score it.

    Args:
        classifier: Its network scores, without the decision it may have.
        file: A `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.conll` file.
        columns: Names of columns, as for `open_labelled`.
        batch_size: How many rows share a forward pass.

    Raises:
        InputError: If the file or a row cannot be read, named by its line, or a label is none of the model's.
    """
    batches = labelled_batches(*open_labelled(classifier, file, columns), batch_size)
    parts = list(_score(classifier, map(classifier.collate, batches)))
    logits, targets = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    if not len(logits):
        raise InputError(f"file {file} holds no word with a tag: give rows that have some")
    if not logits.isfinite().all():
        raise InputError(f"the model's scores for {file} are not all finite: it cannot be calibrated, train it again")
    return HeldOut(logits, targets.bool() if classifier.labels.kind == "multi" else targets)


def _score(classifier: Classifier, batches: Iterable[Batch]) -> Iterator[HeldOut]:
    network = classifier.network.eval()
    for batch in batches:
        with torch.inference_mode():
            scores = network(batch.to(network.device)).float().cpu()
        yield _flat(scores, batch) if classifier.labels.kind == "tags" else HeldOut(scores, batch.require_targets())


def _flat(scores: Tensor, batch: Batch) -> HeldOut:
    """The words that a subword speaks for, whatever sentence they are of."""
    targets = batch.require_targets()
    known = (batch.words()[0] >= 0) & (targets != IGNORE)
    return HeldOut(scores[known], targets[known])
