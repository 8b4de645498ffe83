"""Which task's batch a training step takes: several streams of batches made into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import DistributedSampler

from lightning_clf.batch import Batch, TaskBatches
from lightning_clf.data.batching import BatchRows, Share, TrainBatches
from lightning_clf.data.position import Position
from lightning_clf.encoding import Collator

Step = list[tuple[int, Share]]
"""What a training step takes: of each stream by its number, the rows of one batch."""


@dataclass(frozen=True)
class Stream:
    """Rows that all belong to the same tasks, in batches.

    Attributes:
        batches: Which rows make a batch.
        rows: The encoded rows, as each of the tasks has them: the same texts with the task's own targets.
        collate: What makes a batch of them for each task; all pad, and draw windows, alike.
    """

    batches: TrainBatches
    rows: Mapping[str, BatchRows]
    collate: Mapping[str, Collator]

    def read(self, numbers: Share) -> dict[str, list[Any]]:
        """The rows with these numbers, for each task."""
        return {task: rows[numbers] for task, rows in self.rows.items()}

    def batch(self, rows: Mapping[str, list[Any]]) -> dict[str, Batch]:
        """The batch of each task, of which all have the inputs of the first."""
        # windows are drawn by the numbers that rows have with each task, and are to be the same
        ids = [row["example_id"] for row in next(iter(rows.values()))]
        numbered = {
            task: [{**row, "example_id": number} for row, number in zip(some, ids, strict=True)]
            for task, some in rows.items()
        }
        made = {task: self.collate[task](some) for task, some in numbered.items()}
        shared = next(iter(made.values())).inputs
        for batch in made.values():
            batch.inputs = shared
        return made


def quotas(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How many batches an epoch takes of each stream: as many as they have together, shared out by weight and rounded.

    Args:
        sizes: How many batches each stream has.
        weights: Their weights.

    Returns:
        At least one of each.
    """
    shares = np.array(weights, np.float64) / sum(weights) * sum(sizes)
    return [max(1, round(share)) for share in shares]


class MixedBatches(DistributedSampler[Any]):
    """The steps of an epoch, in an order that follows from the seed and the epoch, alike on every process.

    A stream of which an epoch takes more than it has begins anew, in another order; one of which it takes less goes on
    in the next epoch. So every row of a stream is seen before any is seen again.

    Args:
        streams: The batches of each stream.
        quotas: How many of them an epoch takes.
        together: Whether a step takes a batch of every stream, rather than of one; quotas are then all the same.
        position: The seed of the order, the epoch to begin with, and how many of its steps were taken before.
    """

    def __init__(
        self, streams: Sequence[TrainBatches], quotas: Sequence[int], *, together: bool, position: Position
    ) -> None:
        first = streams[0]
        super().__init__(range(sum(quotas)), first.num_replicas, first.rank, seed=position.order)  # type: ignore[arg-type]
        self.streams, self.quotas, self.together, self.position = streams, quotas, together, position
        self.set_epoch(position.epoch)

    def __len__(self) -> int:
        """How many steps an epoch has, those that were taken before included."""
        return self.quotas[0] if self.together else sum(self.quotas)

    def __iter__(self) -> Iterator[Step]:
        """The steps of this process, but for those that were taken before."""
        taken = self.position.batches if self.epoch == self.position.epoch else 0
        yield from self.steps_of(self.epoch, taken)

    def steps_of(self, epoch: int, taken: int = 0) -> Iterator[Step]:
        """The steps of an epoch, from a number on."""
        plan = self._plan(epoch)
        served = [epoch * quota for quota in self.quotas]
        for numbers in plan[:taken]:
            for stream in numbers:
                served[stream] += 1
        order = [lru_cache(maxsize=1)(stream.batches_of) for stream in self.streams]
        for numbers in plan[taken:]:
            step: Step = []
            for stream in numbers:
                round_, place = divmod(served[stream], len(self.streams[stream]))
                step.append((stream, self.streams[stream].share(order[stream](round_)[place], round_, place)))
                served[stream] += 1
            yield step

    def _plan(self, epoch: int) -> list[list[int]]:
        """The streams of each step."""
        count = len(self.streams)
        if self.together:
            return [list(range(count))] * self.quotas[0]
        each = np.repeat(np.arange(count), self.quotas)
        order = torch.randperm(len(each), generator=torch.Generator().manual_seed(self.seed + epoch))
        return [[stream] for stream in each[order.numpy()].tolist()]


class StreamRows(TorchDataset[Any]):
    """The rows of streams, read a step at a time.

    Args:
        streams: The streams.
        steps: Which steps there are.
    """

    def __init__(self, streams: Sequence[Stream], steps: MixedBatches) -> None:
        self.streams, self.steps = streams, steps

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.steps)

    def __getitem__(self, step: Step | int) -> list[tuple[int, dict[str, list[Any]]]]:
        """The rows of a step, or of that at this place of the first epoch, by which Lightning overfits batches."""
        if isinstance(step, int):
            step = next(self.steps.steps_of(0, step))
        return [(number, self.streams[number].read(rows)) for number, rows in step]


class StreamCollator:
    """Makes a step's batches of its rows.

    Args:
        streams: The streams.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = streams

    def __call__(self, step: Sequence[tuple[int, Mapping[str, list[Any]]]]) -> TaskBatches:
        """The batches."""
        return TaskBatches([self.streams[number].batch(rows) for number, rows in step])
