"""Encoded rows to one padded batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.labels import LabelSpace

Row = Mapping[str, Any]


class Collator:
    """Pads rows to the longest of their batch, on the right.

    Args:
        tokenizer: Says which ids pad.
        labels: Says what a target is.
        pad_to_multiple_of: Pad further, to a multiple that suits the hardware; 1 pads no more than needed.
        max_length: The window, beyond which nothing is padded: the encoder may have no positions there.
    """

    def __init__(
        self, tokenizer: Tokenizer, labels: LabelSpace, pad_to_multiple_of: int = 1, max_length: int | None = None
    ) -> None:
        self.pad_ids = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
        self.labels = labels
        self.multiple = pad_to_multiple_of
        self.max_length = max_length

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows with the columns of `encode_texts` or `encode_words`, `example_id`, and `target` if known.

        A batch of no rows has nothing but their number.
        """
        if not rows:
            return Batch(inputs={}, example_ids=torch.arange(0), window_to_example=torch.arange(0))
        longest = max(1, max(len(row["input_ids"]) for row in rows))
        length = -(-longest // self.multiple) * self.multiple
        length = max(longest, min(length, self.max_length or length))
        inputs = {
            name: _pad([row[name] for row in rows], pad_id, length)
            for name, pad_id in self.pad_ids.items()
            if name in rows[0]
        }
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        inputs["attention_mask"] = (torch.arange(length) < lengths[:, None]).long()
        batch = Batch(
            inputs=inputs,
            example_ids=torch.tensor([row["example_id"] for row in rows]),
            window_to_example=torch.arange(len(rows)),
            targets=self._targets(rows) if "target" in rows[0] else None,
        )
        if self.labels.kind == "tags":
            batch.word_ids = _pad([row["word_ids"] for row in rows], -1, length)
            batch.word_counts = torch.tensor([row["word_count"] for row in rows])
            batch.first_subword = _first_subwords(batch.word_ids, max(1, int(batch.word_counts.max())))
        return batch

    def _targets(self, rows: Sequence[Row]) -> Tensor:
        targets = [row["target"] for row in rows]
        if self.labels.kind == "tags":
            return _pad(targets, IGNORE, max(1, max(len(target) for target in targets)))
        if self.labels.kind == "multi":
            dense = torch.zeros(len(rows), len(self.labels))
            for row, indices in enumerate(targets):
                dense[row, indices] = 1.0
            return dense
        return torch.tensor(targets, dtype=torch.float32 if self.labels.kind == "score" else torch.int64)


def _pad(values: Sequence[Sequence[int]], fill: int, length: int) -> Tensor:
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in values], dtype=torch.int64)


def _first_subwords(word_ids: Tensor, words: int) -> Tensor:
    """Flat position in `[N*T]` of each word's first subword: `[N,W]`, −1 where a word has none."""
    windows, length = word_ids.shape
    none = windows * length
    first = torch.full((windows, words + 1), none)
    position = torch.arange(none).view(windows, length)
    # special tokens and padding fall into a last column of their own, which is cut off again
    column = torch.where(word_ids >= 0, word_ids, words)
    first.scatter_reduce_(1, column, position, reduce="amin")
    return torch.where(first == none, -1, first)[:, :words]
