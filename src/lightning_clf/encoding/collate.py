"""Encoded rows to one padded batch."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.labels import LabelSpace

Row = Mapping[str, Any]
Numbers = Sequence[int] | NDArray[np.integer[Any]]


class Collator:
    """Pads rows, or the windows they are read in, to the longest of their batch, on the right.

    Args:
        tokenizer: Says which ids pad.
        labels: Says what a target is.
        pad_to_multiple_of: Pad further, to a multiple that suits the hardware; 1 pads no more than needed.
        max_length: The window, beyond which nothing is padded: the encoder may have no positions there.
        max_windows: Of a row with more windows, so many are drawn. `None` keeps all.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        labels: LabelSpace,
        pad_to_multiple_of: int = 1,
        max_length: int | None = None,
        max_windows: int | None = None,
    ) -> None:
        # which is masked: where a tokenizer has no token for it, any stands there
        self.pad_ids = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
        self.labels = labels
        self.multiple = pad_to_multiple_of
        self.max_length = max_length
        self.max_windows = max_windows

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows with the columns of `encode_texts` or `encode_words`, `example_id`, and `target` if known.

        A row that has no label beside others that have one has the target `None`. Which windows are drawn follows from
        the rows, and from what stands under `draw`, where something does. A batch of no rows has nothing but their
        number.
        """
        if not rows:
            return Batch(inputs={}, example_ids=torch.arange(0), window_to_example=torch.arange(0))
        windows = self._windows(rows)
        lengths = torch.tensor([int(window.stop - window.start) for _, window in windows])
        longest = max(1, int(lengths.max()))
        length = -(-longest // self.multiple) * self.multiple
        length = max(longest, min(length, self.max_length or length))
        inputs = {
            name: _pad([rows[place][name][window] for place, window in windows], pad_id, length)
            for name, pad_id in self.pad_ids.items()
            if name in rows[0]
        }
        inputs["attention_mask"] = (torch.arange(length) < lengths[:, None]).long()
        batch = Batch(
            inputs=inputs,
            example_ids=torch.tensor([row["example_id"] for row in rows]),
            window_to_example=torch.tensor([place for place, _ in windows]),
            targets=self._targets(rows) if "target" in rows[0] else None,
            labelled=_labelled(rows) if "target" in rows[0] else None,
        )
        if "group" in rows[0]:
            batch.groups = torch.tensor([row["group"] for row in rows])
        if self.labels.kind == "tags":
            batch.word_ids = _pad([rows[place]["word_ids"][window] for place, window in windows], -1, length)
            batch.word_counts = torch.tensor([row["word_count"] for row in rows])
            batch.first_subword = _first_subwords(batch, max(1, int(batch.word_counts.max())))
        return batch

    def _windows(self, rows: Sequence[Row]) -> list[tuple[int, slice]]:
        """The windows of a batch: of which row, and what part of it."""
        if "windows" not in rows[0]:
            return [(place, slice(0, len(row["input_ids"]))) for place, row in enumerate(rows)]
        # of what does not depend on the batches before, so that a run that goes on draws as if it had not stopped
        draw = random.Random(str([rows[0].get("draw"), *(row["example_id"] for row in rows)]))
        windows = []
        for place, row in enumerate(rows):
            ends = list(accumulate(map(int, row["windows"])))
            kept: Sequence[int] = range(len(ends))
            if self.max_windows is not None and len(ends) > self.max_windows:
                kept = sorted(draw.sample(kept, self.max_windows))
            windows += [(place, slice(ends[number] - int(row["windows"][number]), ends[number])) for number in kept]
        return windows

    def _targets(self, rows: Sequence[Row]) -> Tensor:
        targets = [row["target"] for row in rows]
        if self.labels.kind == "tags":
            known = [[IGNORE] * row["word_count"] if row["target"] is None else row["target"] for row in rows]
            return _pad(known, IGNORE, max(1, max(len(target) for target in known)))
        if self.labels.kind == "multi":
            dense = np.zeros((len(rows), len(self.labels)), np.float32)
            for row, indices in zip(dense, targets, strict=True):
                if indices is None:
                    row[:] = IGNORE
                else:
                    row[np.asarray(indices, np.int64)] = 1
            return torch.from_numpy(dense)
        numbers = [IGNORE if target is None else target for target in targets]
        return torch.tensor(numbers, dtype=torch.float32 if self.labels.kind == "score" else torch.int64)


def _labelled(rows: Sequence[Row]) -> Tensor | None:
    has_label = [row["target"] is not None for row in rows]
    return None if all(has_label) else torch.tensor(has_label)


def _pad(values: Sequence[Numbers], fill: int, length: int) -> Tensor:
    padded = np.full((len(values), length), fill, np.int64)
    for row, numbers in zip(padded, values, strict=True):
        row[: len(numbers)] = numbers
    return torch.from_numpy(padded)


def _first_subwords(batch: Batch, words: int) -> Tensor:
    """Flat position in `[N*T]` of each word's first subword: `[B,W]`, −1 where a word has none."""
    assert batch.word_ids is not None
    none = batch.word_ids.numel()
    first = torch.full((len(batch) * (words + 1),), none)
    # special tokens and padding fall into a last column of their own, which is cut off again
    column = torch.where(batch.word_ids >= 0, batch.word_ids, words)
    slots = batch.window_to_example[:, None] * (words + 1) + column
    first.scatter_reduce_(0, slots.flatten(), torch.arange(none), reduce="amin")
    return torch.where(first == none, -1, first).view(len(batch), -1)[:, :words]
