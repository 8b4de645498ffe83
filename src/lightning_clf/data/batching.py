"""Which rows make a batch, on which process, and in which order.

Both samplers yield whole batches. They are `DistributedSampler`s by type, so that Lightning leaves them alone whatever
`use_distributed_sampler` says. Its own repeats rows to even out the processes, which makes scores wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import DistributedSampler

from lightning_clf.data.drawing import Drawing, Numbers
from lightning_clf.data.position import Position
from lightning_clf.data.reading import RowReader

_POOL = 50  # batches that are sorted together: enough that little is padded, few enough that batches stay varied
_READ = 10_000  # rows whose lengths are read at a time


def count_windows(rows: Dataset) -> Numbers:
    """In how many windows each row is read."""
    return _list_lengths(rows, "windows")


def token_lengths(rows: Dataset) -> Numbers:
    """How many subwords each encoded row has, in all its windows."""
    return _list_lengths(rows, "input_ids")


def longest_windows(rows: Dataset) -> Numbers:
    """How many subwords the longest window of each row has."""
    tables = rows.select_columns(["windows"]).with_format("arrow").iter(batch_size=_READ)
    found = [np.array([max(row) for row in table["windows"].to_pylist()], np.int64) for table in tables]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _list_lengths(rows: Dataset, column: str) -> Numbers:
    """How long each list of a column is, read in passing and not kept in memory."""
    tables = rows.select_columns([column]).with_format("arrow").iter(batch_size=_READ)
    lengths = [pc.list_value_length(table[column]).to_numpy() for table in tables]
    return np.concatenate([np.zeros(0, np.int64), *lengths]).astype(np.int64)


@dataclass(frozen=True)
class Room:
    """How much a batch of one process holds: so many rows, or as many as fit.

    Attributes:
        rows: So many rows.
        tokens: Where given, so many subwords in place of rows, padding included: the rows times the longest of them.
    """

    rows: int
    tokens: int | None = None

    def cut(self, order: Numbers, lengths: Numbers, processes: int = 1) -> list[Numbers]:
        """Cut rows that are sorted, the longest first, into batches; a row that is too long has one of its own.

        Args:
            order: The rows.
            lengths: How long each row of all is.
            processes: How many processes share a batch, each of which has this room.
        """
        if self.tokens is None:
            return _cut(order, self.rows * processes)
        batches, start = [], 0
        while start < len(order):
            size = max(1, self.tokens // max(1, int(lengths[order[start]]))) * processes
            batches.append(order[start : start + size])
            start += size
        return batches


def length_tops(lengths: Numbers) -> Numbers:
    """Lengths rounded up so that nearby ones are the same, by at most an eighth."""
    tops = [1]
    while tops[-1] < lengths.max(initial=1):
        tops.append(tops[-1] + max(1, tops[-1] // 8))
    known = np.array(tops, np.int64)
    return known[np.searchsorted(known, lengths)]


class Share(list[int]):
    """The rows of a batch that one process takes.

    Attributes:
        draw: What is drawn for the batch, such as windows of its rows, follows from this. No other batch has the same.
    """

    draw: str

    @classmethod
    def of(cls, rows: Numbers, draw: str) -> Self:
        """These rows."""
        share = cls(rows.tolist())
        share.draw = draw
        return share


class BatchRows(TorchDataset[Any]):
    """Encoded rows, read a batch at a time.

    Args:
        rows: The encoded rows.
        batch_size: Rows a batch, where a batch is asked for by its place in the rows' own order: Lightning puts that
            order in place of our samplers for `overfit_batches`.
        drawn: The rows of that order, where it is not every row once.
    """

    def __init__(self, rows: Dataset, batch_size: int, drawn: Numbers | None = None) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.drawn = drawn
        self._reader: RowReader | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what reads, which each process that collates makes for itself."""
        return {**self.__dict__, "_reader": None}

    def __len__(self) -> int:
        """How many batches there are in the rows' own order."""
        return -(-self._count // self.batch_size)

    def __getitem__(self, batch: list[int] | int) -> list[Any]:
        """The rows with these numbers, with what draws their windows; or those of the batch at this place."""
        if isinstance(batch, int):
            start = batch * self.batch_size
            batch = list(range(start, min(start + self.batch_size, self._count)))
            batch = batch if self.drawn is None else self.drawn[batch].tolist()
        return self._read(batch)

    def _encoded(self, numbers: list[int]) -> list[Any]:
        """The encoded rows with these numbers."""
        if self._reader is None:
            self._reader = RowReader(self.rows)
        return self._reader.read(numbers)

    def _read(self, numbers: list[int]) -> list[Any]:
        rows = self._encoded(numbers)
        if isinstance(numbers, Share) and rows and "windows" in rows[0]:
            return [{**row, "draw": numbers.draw} for row in rows]
        return rows

    @property
    def _count(self) -> int:
        return len(self.rows if self.drawn is None else self.drawn)


class TrainBatches(DistributedSampler[Any]):
    """Every row once an epoch, or as often as drawn, in batches and an order that follow from the seed and the epoch.

    Processes take turns through each batch's rows and are all given the same number of them, so that they take the same
    number of steps of about the same cost: where rows do not come out even, up to `num_replicas - 1` are repeated.

    Args:
        count: How many rows there are.
        room: How much a batch of one process holds.
        num_replicas: How many processes there are.
        rank: Which of them this is.
        position: Which order, the epoch to begin with, and how many of its batches an earlier part of the run took.
        lengths: How long each row is, where rows of about the same length are to share a batch. By rows, they are
            shuffled, sorted within pools of 50 batches, and the batches shuffled again. By tokens, all rows are sorted,
            those of about one length in random order, so that every epoch has as many batches as any other.
        drawing: Says which rows an epoch sees, where it is not every row once. By tokens, batches are then as many as
            the longest rows an epoch may draw would need, and in other epochs the largest of them are halved: `Drawing`
            spreads lengths over epochs, so that few are.

    Raises:
        ValueError: If room is by tokens and there are no lengths.
    """

    def __init__(
        self,
        count: int,
        room: Room,
        num_replicas: int,
        rank: int,
        position: Position,
        lengths: Numbers | None = None,
        drawing: Drawing | None = None,
    ) -> None:
        drawn = count if drawing is None else len(drawing)
        super().__init__(range(drawn), num_replicas, rank, seed=position.order)  # type: ignore[arg-type]
        if room.tokens is not None and lengths is None:
            raise ValueError("room by tokens needs the lengths of the rows")
        self.count = drawn
        self.room = room
        self.position = position
        self.lengths = lengths
        self.drawing = drawing
        # a schedule wants to know the number before the first epoch
        if room.tokens is None:
            self._steps = -(-self.num_samples // room.rows)
        elif drawing is None:
            self._steps = len(self._cut(np.arange(count)))
        else:
            self._steps = len(room.cut(np.arange(drawn), drawing.longest(), num_replicas))
        # Lightning says which epoch it is only after a loader's workers have asked for their first batches
        self.set_epoch(position.epoch)

    def __iter__(self) -> Iterator[Share]:
        """The batches of this process, but for those that were taken before."""
        # a generator: what is iterated over is made when the first batch is asked for, and the epoch known by then
        taken = self.position.batches if self.epoch == self.position.epoch else 0
        for place, batch in enumerate(self.batches_of(self.epoch)[taken:], taken):
            yield self.share(batch, self.epoch, place)

    def share(self, batch: Numbers, epoch: int, place: int) -> Share:
        """What this process takes of a batch of `batches_of` an epoch, of which it is at this place."""
        return Share.of(batch[self.rank :: self.num_replicas], f"{self.seed} {epoch} {place}")

    def batches_of(self, epoch: int) -> list[Numbers]:
        """The batches of an epoch, of all processes together: each takes its turn's rows of every one."""
        generator = torch.Generator().manual_seed(self.seed + epoch)
        order = torch.randperm(self.count, generator=generator).numpy()
        batches = self._cut(order if self.drawing is None else self.drawing.rows(epoch)[order])
        if self.lengths is None:
            return batches
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self, order: Numbers) -> list[Numbers]:
        """The batches of all processes together, of rows in this order as far as lengths leave it."""
        if self.lengths is not None and self.room.tokens is not None:
            tops = length_tops(self.lengths)
            order = order[np.argsort(-tops[order], kind="stable")]
            *batches, last = self.room.cut(order, tops, self.num_replicas)
            batches.append(np.resize(last, -(-len(last) // self.num_replicas) * self.num_replicas))
            return batches if self.drawing is None else _halve(batches, self._steps, self.num_replicas)
        # total_size is the count, made a multiple of the processes by repeating the first rows
        order = np.resize(order, self.total_size)
        if self.lengths is not None:
            pools = _cut(order, _POOL * self.room.rows * self.num_replicas)
            order = np.concatenate([pool[np.argsort(-self.lengths[pool], kind="stable")] for pool in pools])
        return _cut(order, self.room.rows * self.num_replicas)

    def __len__(self) -> int:
        """How many batches an epoch has, on every process, those that were taken before included."""
        return self._steps


class EvalBatches(DistributedSampler[Any]):
    """Every row exactly once over all processes, without padding, in batches of about the same length.

    The order of the batches is mixed, but always the same, so that a limit on their number leaves a fair sample.

    Args:
        lengths: How long each row is.
        room: How much a batch of one process holds.
        num_replicas: How many processes there are.
        rank: Which of them this is.
    """

    def __init__(self, lengths: Numbers, room: Room, num_replicas: int, rank: int) -> None:
        super().__init__(lengths, num_replicas, rank, shuffle=False)  # type: ignore[arg-type]
        own = np.argsort(-lengths, kind="stable")[rank::num_replicas]
        self.room = room
        batches = room.cut(own, lengths) or [own]  # Lightning would leave out a process that has no batch at all
        mixed = torch.randperm(len(batches), generator=torch.Generator().manual_seed(0)).tolist()
        self.batches = [batches[place] for place in mixed]

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of this process."""
        return (batch.tolist() for batch in self.batches)

    def __len__(self) -> int:
        """How many they are."""
        return len(self.batches)


def _cut(rows: Numbers, size: int) -> list[Numbers]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _halve(batches: list[Numbers], wanted: int, processes: int) -> list[Numbers]:
    """Halve the largest batches until there are as many as wanted; processes still share each evenly."""
    while len(batches) < wanted:
        batches = sorted(batches, key=len, reverse=True)
        # those of the size of the largest first, since halves of it may be larger than the others
        alike = sum(len(batch) == len(batches[0]) for batch in batches)
        several = min(alike, wanted - len(batches))
        middle = -(-len(batches[0]) // processes // 2) * processes
        halves = [part for batch in batches[:several] for part in (batch[:middle], batch[middle:])]
        batches = halves + batches[several:]
    return batches
