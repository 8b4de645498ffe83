"""Rows are those that `datasets` reads."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, concatenate_datasets
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.data.batching import BatchRows
from lightning_clf.data.reading import RowReader

COLUMNS = {
    "input_ids": pa.list_(pa.int32()),
    "token_type_ids": pa.list_(pa.int8()),
    "target": pa.list_(pa.int32()),
    "score": pa.float64(),
    "word_count": pa.int32(),
    "example_id": pa.int64(),
    "name": pa.string(),
}
NUMBERS = st.lists(st.integers(0, 127), max_size=5)
ROWS = st.fixed_dictionaries(
    {
        "input_ids": NUMBERS,
        "token_type_ids": NUMBERS,
        "target": NUMBERS | st.none(),
        "score": st.floats(allow_nan=False) | st.none(),
        "word_count": st.integers(0, 100),
        "example_id": st.integers(0, 2**50),
        "name": st.text(st.characters(codec="utf-8"), max_size=3),
    }
)


def table(rows: list[dict[str, Any]]) -> Dataset:
    arrays = {name: pa.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()}
    return Dataset(pa.table(arrays))


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with lists in the place of arrays."""
    return [
        {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}
        for row in rows
    ]


@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=3), st.data())
def test_rows_are_those_that_datasets_reads(parts, data):
    """Of a table in several parts, some of them cut, in any order and more than once."""
    rows = concatenate_datasets([table(part) for part in parts])
    if data.draw(st.booleans()):
        rows = rows.select(data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1)))
    else:
        start = data.draw(st.integers(0, len(rows) - 1))
        rows = rows.select(range(start, len(rows)))
    numbers = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=6))
    assert plain(RowReader(rows).read(numbers)) == rows.__getitems__(numbers)


def test_numbers_are_mapped_and_not_copied(tmp_path: Path):
    path = tmp_path / "rows.arrow"
    whole = table([ROW] * 3)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, whole.data.schema) as out:
        out.write_table(whole.data.table)
    reader = RowReader(Dataset.from_file(str(path)))
    ids = reader.read([2])[0]["input_ids"]
    assert ids.tolist() == [1, 2]
    assert not ids.flags.owndata
    assert not ids.flags.writeable


ROW = {
    "input_ids": [1, 2],
    "token_type_ids": [0, 0],
    "target": [],
    "score": 0.5,
    "word_count": 2,
    "example_id": 0,
    "name": "",
}


@pytest.mark.parametrize("is_read", [False, True])
def test_rows_are_sent_to_other_processes(is_read):
    rows = BatchRows(table([ROW] * 3), 2)
    if is_read:
        rows[[0]]
    assert plain(pickle.loads(pickle.dumps(rows))[[1]]) == [ROW]
