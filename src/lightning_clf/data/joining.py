"""Rows of several tasks that are of the same text, found by what the encoder reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from datasets import Dataset

_READ = 10_000  # rows looked at a time


def joined(rows: Mapping[str, Dataset]) -> dict[tuple[str, ...], dict[str, Dataset]]:
    """Sort rows by the tasks that have their text.

    A text that a task has twice is two texts: the first goes with the first of another task, and so on.

    Args:
        rows: The encoded rows of each task.

    Returns:
        For tasks that share texts, the rows of each of them, in one order: row k of all is of the same text.
    """
    places: defaultdict[tuple[bytes, int], dict[str, int]] = defaultdict(dict)
    for task, some in rows.items():
        met: Counter[bytes] = Counter()
        for place, content in enumerate(_contents(some)):
            places[content, met[content]][task] = place
            met[content] += 1
    groups: defaultdict[tuple[str, ...], list[dict[str, int]]] = defaultdict(list)
    for found in places.values():
        groups[tuple(task for task in rows if task in found)].append(found)
    return {
        tasks: {task: rows[task].select([place[task] for place in group]) for task in tasks}
        for tasks, group in sorted(groups.items())
    }


def _contents(rows: Dataset) -> Iterator[bytes]:
    """What the encoder reads of each row."""
    columns = [name for name in ("input_ids", "token_type_ids", "windows") if name in rows.column_names]
    for batch in rows.select_columns(columns).with_format("numpy").iter(batch_size=_READ):
        for parts in zip(*(batch[name] for name in columns), strict=True):
            yield b"|".join(part.tobytes() for part in parts)
