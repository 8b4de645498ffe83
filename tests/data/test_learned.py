"""Which rows a fit learns from, as a checkpoint tells them from others."""

from __future__ import annotations

import csv
import json

from lightning_clf.data import SequenceDataModule
from tests.data.conftest import make_tokenizer

ROWS = [{"text": f"text {number}", "label": "ab"[number % 2]} for number in range(30)]


def learned(source, **options):
    data = SequenceDataModule(source, labels=["a", "b"], **options)
    data.tokenizer = make_tokenizer()
    data.prepare_data()
    data.setup()
    return data._opened.learned


def test_the_same_rows_in_another_file_are_the_same(tmp_path):
    jsonl, table = tmp_path / "train.jsonl", tmp_path / "rows.csv"
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["label", "text"])
        writer.writeheader()
        writer.writerows(ROWS)
    found = learned({"train": str(jsonl)})
    assert found == learned({"train": str(table)}) == learned({"train": ROWS}, max_length=8)
    assert {name: rows for name, (rows, _) in found.items()} == {"train": 27, "val": 3}


def test_other_rows_are_others(tmp_path):
    assert learned({"train": ROWS, "val": ROWS}) != learned({"train": ROWS[::-1], "val": ROWS})
    assert learned({"train": ROWS}) != learned({"train": ROWS}, seed=1)  # which holds out others
    one, other = learned({"train": ROWS}), learned({"train": ROWS[:-1]})
    assert one["train"][0] != other["train"][0]
    assert "unlabelled" in learned({"train": ROWS}, unlabelled=[{"text": "alone"}])
