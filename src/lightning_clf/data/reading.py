"""Encoded rows by their numbers, straight from the mapped file.

`datasets` gathers a table of the rows and makes Python lists of it, which for a batch takes it as long as all else that
a batch is made by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

Row = dict[str, Any]
_View = Callable[[int], Any]


class RowReader:
    """Reads rows, of which lists of numbers are arrays over the file itself, not to be written to.

    Args:
        rows: The encoded rows.
    """

    def __init__(self, rows: Dataset) -> None:
        self._batches: list[pa.RecordBatch] = rows.data.to_batches()
        self._ends = np.cumsum([len(batch) for batch in self._batches], dtype=np.int64)
        self._starts = self._ends - [len(batch) for batch in self._batches]
        # of rows that were selected of others
        self._order = None if rows._indices is None else rows._indices.column(0).to_numpy()
        self._views: dict[int, dict[str, _View]] = {}

    def read(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers, from 0 on."""
        places = np.asarray(numbers, np.int64)
        if self._order is not None:
            places = self._order[places].astype(np.int64)
        batches = np.searchsorted(self._ends, places, side="right")
        return [
            {name: view(place) for name, view in self._of(batch).items()}
            for batch, place in zip(batches.tolist(), (places - self._starts[batches]).tolist(), strict=True)
        ]

    def _of(self, batch: int) -> dict[str, _View]:
        """What reads each column of a batch of the file."""
        if batch not in self._views:
            part = self._batches[batch]
            self._views[batch] = {name: _view(part.column(name)) for name in part.schema.names}
        return self._views[batch]


def _view(column: pa.Array) -> _View:
    """What gives a column's value at a place."""
    if column.null_count == 0 and _is_number(column.type):
        numbers = column.to_numpy()
        return lambda place: numbers[place].item()
    if column.null_count == 0 and pa.types.is_list(column.type):
        ends, values = column.offsets.to_numpy(), column.values
        if values.null_count == 0 and _is_number(values.type):
            listed = values.to_numpy()
            return lambda place: listed[ends[place] : ends[place + 1]]
    return lambda place: column[place].as_py()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
