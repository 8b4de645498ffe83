"""A teacher's answers to the rows of a split: computed once, kept in the cache, and memory-mapped by every process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from lightning_clf.data.cache import made_once
from lightning_clf.data.checks import column

Answered = Iterable[tuple[int, "np.typing.NDArray[np.float32]"]]
"""The places of rows among all, in any order, and the logits of each: one line `[P,C]` a place it has."""

_LOGITS, _OFFSETS, _IDS, _FACTS = "logits.npy", "offsets.npy", "ids.npy", "facts.json"


class Answers:
    """Logits of P places in all, those of a row one after another: one place a text, or one a word.

    Args:
        folder: Where they lie.

    Raises:
        OSError: If they are not there.
        ValueError: If they are not whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if facts["bytes"] != (folder / _LOGITS).stat().st_size:
            raise ValueError(f"{folder} is not whole")
        self._logits = np.load(folder / _LOGITS, mmap_mode="r")
        self._offsets, self._ids = (np.load(folder / name, mmap_mode="r") for name in (_OFFSETS, _IDS))

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """What another process opens again, rather than is sent."""
        return type(self), (self._folder,)

    @classmethod
    def open_whole(cls, folder: Path) -> Self | None:
        """Those of a folder; `None` if it is not there, or not whole."""
        try:
            return cls(folder)
        except (OSError, ValueError):
            return None

    @classmethod
    def made(cls, folder: Path, rows: Dataset, labels: int, answer: Callable[[], Answered]) -> Self:
        """Those of a folder of the cache, written first unless that has been done.

        Args:
            folder: The folder.
            rows: The rows, encoded for the teacher or for the student, in the order of their ids.
            labels: How many logits a place has, C.
            answer: Answers all rows.

        Raises:
            InputError: If the cache cannot be written, or a row cannot be answered.
        """
        return made_once(folder, cls.open_whole, lambda draft: _write(draft, rows, labels, answer()))

    def of(self, example_ids: Tensor, words: int | None = None) -> Tensor:
        """The logits of a batch's examples: `[B,C]`, or those of words `[B,W,C]`, NaN beyond an example's last.

        Args:
            example_ids: Which examples. Int64 `[B]`.
            words: W; `None` for texts.
        """
        places = np.searchsorted(self._ids, example_ids.numpy())
        if words is None:
            return torch.from_numpy(self._logits[self._offsets[places]])
        found = np.full((len(places), words, self._logits.shape[1]), np.nan, np.float32)
        for line, place in enumerate(places):
            start, end = self._offsets[place : place + 2]
            found[line, : end - start] = self._logits[start:end]
        return torch.from_numpy(found)


def _write(folder: Path, rows: Dataset, labels: int, answered: Answered) -> None:
    ids = column(rows, "example_id").to_numpy()
    counts = column(rows, "word_count").to_numpy() if "word_count" in rows.column_names else np.ones(len(rows))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    logits = np.lib.format.open_memmap(folder / _LOGITS, mode="w+", dtype=np.float32, shape=(int(offsets[-1]), labels))
    for place, values in answered:
        logits[offsets[place] : offsets[place + 1]] = values
    logits.flush()
    np.save(folder / _OFFSETS, offsets)
    np.save(folder / _IDS, ids)
    facts = {"bytes": (folder / _LOGITS).stat().st_size}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
