"""How encoded rows are handed out: what shares a batch, how it is padded, and which processes make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from datasets import Dataset
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from lightning_clf.batch import Batch
from lightning_clf.component import Spec
from lightning_clf.data.ahead import whole_batches
from lightning_clf.data.batching import (
    BatchRows,
    EvalBatches,
    Room,
    TrainBatches,
    length_tops,
    longest_windows,
    token_lengths,
)
from lightning_clf.data.drawing import Drawing, Numbers
from lightning_clf.data.pairs import PairCollator, PairRows, Pairs
from lightning_clf.data.position import Position
from lightning_clf.data.sampling import Sampling
from lightning_clf.encoding import Collator, Tokenizer
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace
from lightning_clf.specs import shown

BatchLoader = DataLoader[Batch]
Beside = Callable[[Batch], Batch]
"""Puts beside the rows of a batch what others know of them."""


def _shown(drawn_by: Spec | None) -> str:
    return shown({"__component__": drawn_by} if drawn_by else None)


_TENSOR_CORES = 8  # what they want lengths to be a multiple of


@dataclass(frozen=True)
class _Collated:
    """Collates rows, and puts something beside them; a class, so that other processes can be given it."""

    collate: Callable[[Any], Batch]
    beside: Beside

    def __call__(self, rows: Any) -> Batch:
        return self.beside(self.collate(rows))


class EncodedRows(NamedTuple):
    """Encoded rows, and what is needed to make batches of them.

    Attributes:
        rows: What `encode_split` made.
        tokenizer: Says which ids pad.
        labels: Says what a target is.
        max_length: The window.
        beside: What is put beside each batch of training.
    """

    rows: Dataset
    tokenizer: Tokenizer
    labels: LabelSpace
    max_length: int
    beside: Beside | None = None


class Place(NamedTuple):
    """Where a loader is used.

    Attributes:
        processes: How many processes share the rows.
        rank: Which of them this is.
        device: Where batches go.
    """

    processes: int = 1
    rank: int = 0
    device: torch.device = torch.device("cpu")

    @classmethod
    def of(cls, trainer: Trainer | None) -> Self:
        """Where a Trainer runs; without one, alone on the CPU."""
        return cls(trainer.world_size, trainer.global_rank, trainer.strategy.root_device) if trainer else cls()


@dataclass(frozen=True)
class Loading:
    """The keys of a datamodule that say how batches are made; `BaseDataModule` says what each is.

    Raises:
        InputError: If one is out of bounds, or two contradict each other.
    """

    batch_size: int
    eval_batch_size: int | None
    batch_tokens: int | None
    group_by_length: bool
    pad_to_multiple_of: int | None
    num_workers: int
    seed: int
    sampling: Sampling | None = None
    max_windows: int | None = None
    both_orders: bool = False

    def __post_init__(self) -> None:
        """Check every number."""
        for key in ("batch_size", "eval_batch_size", "batch_tokens", "pad_to_multiple_of", "max_windows"):
            if getattr(self, key) is not None:
                check_number(f"data.{key}", getattr(self, key), least=1, whole=True)
        check_number("data.num_workers", self.num_workers, least=0, whole=True)
        if self.batch_tokens is not None and not self.group_by_length:
            raise InputError(
                "data.batch_tokens makes batches of texts of about one length, but data.group_by_length is false: "
                "leave it out, or count examples with data.batch_size"
            )

    def check_labels(self, labels: LabelSpace) -> None:
        """Hold what is asked of labels against them.

        Raises:
            InputError: If `sampling` does not fit them.
        """
        if self.sampling is not None:
            self.sampling.check(labels)

    def epoch_size(self, rows: Dataset, labels: LabelSpace) -> int:
        """How many rows of these an epoch of training sees, over all processes, repeats included."""
        return len(rows) if self.sampling is None else len(self.sampling.quotas(rows, labels))

    def check_window(self, max_length: int, stride: int | None) -> None:
        """Hold the window against the room of a batch.

        Raises:
            InputError: If one text could be more than a batch may hold, or windows are counted of which there is one.
        """
        if stride is None and not self.both_orders and self.max_windows is not None:
            raise InputError(
                f"data.max_windows {self.max_windows} counts windows, and texts are cut off after one: set "
                "data.stride, or leave it out"
            )
        if self.batch_tokens is None:
            return
        if stride is not None and self.max_windows is None:
            raise InputError(
                "data.batch_tokens bounds a batch, and of a text of any length all windows go into one: set "
                "data.max_windows, such as 4, or leave data.batch_tokens out"
            )
        longest = max_length * (self.max_windows or 1)
        if self.batch_tokens < longest:
            windows = f" in data.max_windows {self.max_windows}" if self.max_windows else ""
            raise InputError(
                f"data.batch_tokens {self.batch_tokens} has no room for one text of data.max_length {max_length}"
                f"{windows}: set it to {longest} or more, 32 times as much being usual"
            )

    @property
    def drawn_by(self) -> Spec | None:
        """What draws the rows of an epoch, in primitives; `None` where every row is seen once."""
        return self.sampling.spec() if self.sampling is not None else None

    def check_same_epoch(self, position: Position, drawn_by: Spec | None) -> None:
        """Hold what draws the rows against what drew those of an epoch that is gone on with.

        Raises:
            InputError: If it is another, of whose epoch no part was taken.
        """
        if position.batches and drawn_by != self.drawn_by:
            raise InputError(
                f"data.sampling is {_shown(self.drawn_by)}, but the checkpoint was written amid an epoch drawn by "
                f"{_shown(drawn_by)}: set it to that, or go on from a checkpoint of an epoch's end"
            )

    def train(self, encoded: EncodedRows, place: Place, position: Position) -> BatchLoader:
        """Shuffled batches of encoded rows.

        Args:
            encoded: The rows.
            place: Which process asks, on which device.
            position: Where training stands.
        """
        lengths = self._lengths(encoded.rows, place) if self.group_by_length else None
        if lengths is not None and self.max_windows is not None:
            longest = longest_windows(encoded.rows) if self.both_orders else encoded.max_length
            lengths = np.minimum(lengths, self.max_windows * longest)
        room = Room(self.batch_size, self.batch_tokens)
        drawing = None
        if self.sampling is not None:
            tops = length_tops(lengths) if lengths is not None and room.tokens is not None else None
            drawing = Drawing(self.sampling.quotas(encoded.rows, encoded.labels), position.order, tops)
        batches = TrainBatches(len(encoded.rows), room, place.processes, place.rank, position, lengths, drawing)
        drawn = None if drawing is None else np.sort(drawing.rows(0))  # what overfitting goes by
        batch_rows = BatchRows(encoded.rows, self.batch_size, drawn)
        collate: Callable[[Any], Batch] = self._collator(encoded, place, self.max_windows)
        return self._loader(batch_rows, batches, _Collated(collate, encoded.beside) if encoded.beside else collate)

    def train_pairs(self, encoded: EncodedRows, place: Place, position: Position, pairs: Pairs) -> BatchLoader:
        """Shuffled batches of `batch_size` pairs of encoded rows, whatever their lengths: each text of a batch once.

        Arguments are those of `train`, and the pairs there are.
        """
        drawing = Drawing(pairs.quotas, position.order)
        room = Room(self.batch_size)
        batches = TrainBatches(len(pairs), room, place.processes, place.rank, position, None, drawing)
        pair_rows = PairRows(encoded.rows, self.batch_size, np.sort(drawing.rows(0)), pairs)
        return self._loader(pair_rows, batches, PairCollator(self._collator(encoded, place)))

    def evaluate(self, encoded: EncodedRows, place: Place) -> BatchLoader:
        """Batches of encoded rows, each row once over all processes. Arguments are those of `train`."""
        # no gradients are kept, so that there is room for more
        tokens = 2 * self.batch_tokens if self.batch_tokens and self.eval_batch_size is None else None
        room = Room(self.eval_batch_size or 2 * self.batch_size, tokens)
        batches = EvalBatches(self._lengths(encoded.rows, place), room, place.processes, place.rank)
        batch_rows = BatchRows(encoded.rows, room.rows)
        return self._loader(batch_rows, batches, self._collator(encoded, place))

    def _multiple(self, place: Place) -> int:
        return self.pad_to_multiple_of or (_TENSOR_CORES if place.device.type == "cuda" else 1)

    def _lengths(self, rows: Dataset, place: Place) -> Numbers:
        multiple = self._multiple(place)
        lengths: Numbers = -(-token_lengths(rows) // multiple) * multiple
        return lengths

    def _collator(self, encoded: EncodedRows, place: Place, max_windows: int | None = None) -> Collator:
        return Collator(encoded.tokenizer, encoded.labels, self._multiple(place), encoded.max_length, max_windows)

    def _loader(
        self, rows: BatchRows, batches: TrainBatches | EvalBatches, collate: Callable[[Any], Batch]
    ) -> BatchLoader:
        return whole_batches(rows, batches, collate, self.num_workers, self.seed)
