"""A loader of whole batches, made several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

_AT_ONCE = 8  # of which each takes less than half the time of one alone; more gain little


class AheadLoader(DataLoader[Any]):
    """A `DataLoader` that makes several batches before it hands out the first of them.

    A step of training goes through all weights, and what makes a batch has left the processor's caches by then: so it
    is fetched into them once for several, of which there are more the longer one iterates. With workers, or into
    memory that is pinned for a GPU, each batch is made as it is asked for.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # who iterates asks for no more
        """The batches."""
        batches = super().__iter__()
        return batches if self.num_workers or self.pin_memory else _Ahead(batches)


class _Ahead(Iterator[Any]):
    """Makes some batches whenever those made before are handed out; nothing is made before one is asked for."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._made: deque[Any] = deque()
        self._error: Exception | None = None  # of the batch after those
        self._count = 1  # who wants few batches is to wait for few

    def __len__(self) -> int:
        return len(self._batches)

    def __next__(self) -> Any:
        if not self._made and self._error is None:
            self._make()
        if self._made:
            return self._made.popleft()
        if self._error is None:
            raise StopIteration
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # whose traceback knows this frame

    def _make(self) -> None:
        try:
            for batch in islice(self._batches, self._count):
                self._made.append(batch)
        except Exception as error:
            self._error = error
        self._count = min(2 * self._count, _AT_ONCE)


def whole_batches(
    rows: Dataset[Any], batches: Sampler[Any], collate: Callable[[Any], Any], num_workers: int, seed: int
) -> AheadLoader:
    """A loader whose sampler yields whole batches.

    Args:
        rows: Reads the rows of a batch.
        batches: Which rows make a batch.
        collate: Makes a batch of its rows.
        num_workers: Processes that read and collate.
        seed: The loader's own, so that making it draws nothing from what dropout draws from.
    """
    return AheadLoader(
        rows,
        batch_size=None,
        sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(seed),
    )
