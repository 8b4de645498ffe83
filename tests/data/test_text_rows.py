"""What is a label: the types it may have, and whole numbers, which each format writes in its own way."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightning_clf.data import SequenceDataModule

from .conftest import complaint, jsonl, make_tokenizer


def rows(*labels: Any, key: str = "label") -> list[dict[str, Any]]:
    return [{"text": f"film {index}", key: label} for index, label in enumerate(labels)]


def targets(datamodule: SequenceDataModule, split: str = "val") -> list[Any]:
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    return [row["target"] for row in datamodule._rows_of(split)]


@pytest.mark.parametrize(
    ("label", "type_name"),
    [
        (b"x", "bytes"),
        (date(2020, 1, 2), "date"),
        (Decimal(1), "Decimal"),
        ({"a": 1}, "dict"),
    ],
)
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_values_that_are_no_names_are_refused_by_their_type(label: Any, type_name: str, kind: Any) -> None:
    key, given = ("label", label) if kind == "single" else ("labels", [label])
    message = complaint(lambda: SequenceDataModule(rows(given, key=key), kind=kind).labels)
    assert message == (
        f"train[0] has the label {label!r}, which is of type {type_name}: write labels as text or whole numbers"
    )


def test_parquet_columns_of_bytes_are_no_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": [b"x", b"y"]}), tmp_path / "train.parquet")
    message = complaint(lambda: SequenceDataModule(tmp_path).labels)
    assert "train.parquet row 1 has the label b'x', which is of type bytes" in message


def test_text_and_whole_numbers_are_names() -> None:
    assert SequenceDataModule(rows("a", True, False)).labels.names == ("False", "True", "a")
    assert SequenceDataModule(rows(10, 9.0, "-3", np.int64(4), np.float32(5))).labels.names == (
        "-3", "4", "5", "9", "10"
    )  # fmt: skip
    multi = SequenceDataModule(rows([np.int64(2), np.float64(1)], [np.str_("0")], key="labels"), kind="multi")
    assert multi.labels.names == ("0", "1", "2")


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_half_a_surrogate_pair_is_told_by_its_row(kind: Any) -> None:
    key, given = ("label", "a\ud800") if kind == "single" else ("labels", ["x", "a\ud800"])
    message = complaint(lambda: SequenceDataModule(rows(given, key=key), kind=kind).labels)
    assert message == "label 'a\\ud800' of train[0] holds half a surrogate pair (character 2): correct it"


FORMATS = {
    "csv of a table with an empty cell": ("csv", "text,label\na,0.0\nb,1.0\nc,10.0\n"),
    "csv": ("csv", "text,label\na,0\nb,1\nc,10\n"),
    "csv of both": ("csv", "text,label\na,0\nb,1.0\nc,10.00\n"),
    "json": ("jsonl", jsonl(rows(0, 1, 10))),
    "json of floats": ("jsonl", jsonl(rows(0.0, 1.0, 10.0))),
    "json of text": ("jsonl", jsonl(rows("0.0", "1.0", "10.0"))),
}


@pytest.mark.parametrize("train", FORMATS)
@pytest.mark.parametrize("dev", FORMATS)
def test_whole_numbers_are_the_same_classes_in_every_format(tmp_path: Path, train: str, dev: str) -> None:
    for split, (suffix, content) in (("train", FORMATS[train]), ("dev", FORMATS[dev])):
        (tmp_path / f"{split}.{suffix}").write_text(content)
    datamodule = SequenceDataModule(tmp_path)
    assert datamodule.labels.names == ("0", "1", "10")
    assert targets(datamodule) == [0, 1, 2]


def test_names_beside_which_one_is_not_whole_stay_as_they_are() -> None:
    names = ("1.0", "1.50", "2", "v1.0")
    assert SequenceDataModule(rows(*names)).labels.names == names
    assert targets(SequenceDataModule({"train": rows(*names), "dev": rows("2", "1.0")})) == [2, 0]
    data = {"train": rows("1.0", "1.1"), "dev": rows("1")}
    assert "label '1' (dev[0]) is not in train" in complaint(lambda: targets(SequenceDataModule(data)))


def test_declared_names_stay_as_they_are_and_are_met_by_their_number() -> None:
    data = {"train": rows("1", "2.0"), "dev": rows(2, 1.0, "2.0", "01.0")}
    datamodule = SequenceDataModule(data, labels=["1.0", "2.0", "01"])
    assert datamodule.labels.names == ("1.0", "2.0", "01")
    assert targets(datamodule) == [1, 0, 1, 2]
    both = SequenceDataModule({"train": rows("1", "1.0"), "dev": rows("1.0", "1", 1)}, labels=["1", "1.0"])
    assert targets(both) == [1, 0, 0]


def test_positions_among_declared_names_may_be_whole_floats() -> None:
    data = {"train": rows("0.0", "1.0"), "dev": rows("1.0", 0, "1")}
    assert targets(SequenceDataModule(data, labels=["bad", "good"])) == [1, 0, 1]
    for stray in ("2.0", "-2", "0.5", "9" * 5000):
        message = complaint(lambda: targets(SequenceDataModule({**data, "dev": rows(stray)}, labels=["bad", "good"])))  # noqa: B023
        assert message.startswith(f"label {stray!r} (dev[0]) is not one of data.labels")
    message = complaint(lambda: targets(SequenceDataModule({"train": rows(0, 1)}, labels=["1.0", "2.0"])))
    assert message.startswith("label '0' (train[0]) is not one of data.labels")


@pytest.mark.parametrize("limits", [(0, inf), (-inf, 0), (nan, 1), (0, nan), (inf, inf), (1, 1)])
def test_a_range_of_scores_has_two_ends(limits: tuple[float, float]) -> None:
    datamodule = SequenceDataModule(rows(1, 2, key="score"), kind="score", score_range=limits)
    message = complaint(lambda: datamodule.labels)
    assert message.startswith("a score needs a range of two finite numbers, the smaller first, not [")
    assert message.endswith("]: set data.score_range to one such as [1.0, 5.0]")


def test_a_score_out_of_range_says_what_may_be_done() -> None:
    data = {"train": rows(1, 6, key="score")}
    message = complaint(lambda: targets(SequenceDataModule(data, kind="score", score_range=(1, 5)), "train"))
    assert message == "score 6 (train[1]) is outside data.score_range [1, 5]: correct the score, or widen the range"


@pytest.mark.parametrize("declared", ["-1", "-1.0"])
def test_minus_one_is_a_class_where_it_is_declared_however_it_is_written(declared: str) -> None:
    splits = {"train": rows(-1, 0, "-1.0", 1), "dev": rows("-1", -1.0, 0)}
    assert targets(SequenceDataModule(splits, labels=[declared, "0", "1"])) == [0, 0, 1]


@pytest.mark.parametrize(("options", "text", "label"), [
    ({"label_column": "text"}, "text_column", "label_column"),
    ({"text_column": "label"}, "text_column", "label_column"),
    ({"text_pair_column": "label"}, "text_pair_column", "label_column"),
    ({"kind": "multi", "label_columns": ["label", "text"]}, "text_column", "label_columns"),
])  # fmt: skip
def test_a_column_of_texts_is_none_of_labels(options: dict[str, Any], text: str, label: str) -> None:
    column = "label" if "label" in (options.get("text_column"), options.get("text_pair_column")) else "text"
    message = complaint(lambda: SequenceDataModule(rows("a", "b"), **options).row_format)
    assert message == (
        f"data.{text} and data.{label} both name the column {column!r}, so that the text would be its own label: set "
        f"data.{label} to where the labels are"
    )
