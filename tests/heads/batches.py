"""Batches of words made by hand, and tag sequences held against schemes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.heads import Head
from lightning_clf.labels import LabelSpace
from lightning_clf.schemes import check_tags

SCHEMES = {
    "IOB1": LabelSpace.tags(["X", "Y"], "IOB1"),
    "IOB2": LabelSpace.tags(["X", "Y"], "IOB2"),
    "BIOES": LabelSpace.tags(["X"], "BIOES"),
    "none": LabelSpace.tags(["DT", "NN", "VB", "IN", "CC"], "none"),
}
"""Five tags each."""


def word_batch(seen: list[list[int]], targets: list[list[int]] | None = None) -> Batch:
    """Examples of one subword a word, of which those marked 0 have none."""
    words = max(1, *map(len, seen))
    windows = len(seen)
    marks = torch.zeros(windows, words, dtype=torch.long)
    for row, example in enumerate(seen):
        marks[row, : len(example)] = torch.tensor(example, dtype=torch.long)
    place = torch.arange(words).expand_as(marks)
    filled = [[*row, *[IGNORE] * (words - len(row))] for row in targets] if targets is not None else None
    return Batch(
        inputs={"attention_mask": torch.ones(windows, words, dtype=torch.long)},
        example_ids=torch.arange(windows),
        window_to_example=torch.arange(windows),
        targets=None if filled is None else torch.tensor(filled),
        word_ids=place.where(marks > 0, -1),
        first_subword=(place + words * torch.arange(windows)[:, None]).where(marks > 0, -1),
        word_counts=torch.tensor([len(example) for example in seen]),
    )


def attached(head: Any, labels: LabelSpace, hidden: int = 4) -> Any:
    """A head built for a label space."""
    built: Head = head
    built.attach(SimpleNamespace(hidden_size=hidden), labels)  # type: ignore[arg-type]
    return built.eval()


def check_legal(labels: LabelSpace, indices: torch.Tensor, batch: Batch) -> None:
    """Raise unless every example's tags are a sequence of the scheme, with `outside` for words that are not seen."""
    seen, counts = batch.words()
    for row, count in enumerate(counts.tolist()):
        tags = indices[row, :count].tolist()
        assert labels.scheme is not None
        check_tags([labels.names[tag] for tag in tags], labels.scheme)
        assert all(tag == labels.outside for tag, first in zip(tags, seen[row].tolist(), strict=False) if first < 0)
