"""How many encoded rows share a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def batches(rows: Sequence[Mapping[str, Any]], size: int) -> Iterator[list[int]]:
    """The places of rows, shortest first, so many together that they have no more windows than asked for.

    Args:
        rows: What was encoded; a row of one window counts once, and one of more windows than asked for is alone.
        size: The most windows of a batch.
    """
    batch: list[int] = []
    room = size
    for place in sorted(range(len(rows)), key=lambda place: len(rows[place]["input_ids"])):
        windows = len(rows[place].get("windows", (0,)))
        if batch and windows > room:
            yield batch
            batch, room = [], size
        batch.append(place)
        room -= windows
    if batch:
        yield batch
