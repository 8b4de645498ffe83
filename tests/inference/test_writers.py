"""What is written is what was answered, read back by other libraries."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.inference.writers import Delimited, JsonLines, Parquet, json_line, make_writer, text
from tests.training import complaint

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8) | st.text('a,"\r\n\t;', max_size=5)
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(st.floats() | texts, max_size=2)


@given(st.dictionaries(texts, values, max_size=4))
def test_json_is_what_any_parser_takes(row):
    def refuse(name):
        raise AssertionError(name)

    def plain(value):
        if isinstance(value, list):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    line = json_line(row)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line.decode(), parse_constant=refuse) == {key: plain(value) for key, value in row.items()}


def test_half_a_surrogate_pair_is_escaped():
    assert json_line({"a": "\ud800é"}) == '{"a": "\\ud800é"}\n'.encode()
    assert json.loads(json_line({"a": "\ud800é"})) == {"a": "\ud800é"}


@given(st.lists(st.fixed_dictionaries({"id": texts, "note": texts}), max_size=4), st.sampled_from(",\t"))
def test_tables_are_what_csv_reads(rows, delimiter):
    writer = Delimited(["id", "note", "label", "probability/x, y"], delimiter)
    answers = [{"label": "a", "probabilities": {"x, y": 0.1 + place}} for place in range(len(rows))]
    content = (writer.start() + writer.encode(rows, answers)).decode()
    read = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True))
    assert read[0] == ["id", "note", "label", "probability/x, y"]
    assert read[1:] == [[row["id"], row["note"], "a", repr(0.1 + place)] for place, row in enumerate(rows)]


@pytest.mark.parametrize(("value", "cell"), [
    (None, ""), ("", ""), ("null", "null"), (True, "true"), (3, "3"), (0.5, "0.5"), (math.nan, ""), (1e-06, "1e-06"),
    (["a", None], '["a", null]'), ({"é": 1}, '{"é": 1}'), (date(2024, 2, 29), "2024-02-29"),
])  # fmt: skip
def test_cells(value, cell):
    assert text(value) == cell


def test_parquet_is_one_table_of_the_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_clf.inference.writers._GROUPED", 2)
    schema = pa.schema({"id": pa.int64(), "text": pa.string(), "labels": pa.list_(pa.string())})
    writer, draft = Parquet(schema), tmp_path / "draft"
    chunks = [[{"id": 1, "text": "a"}], [{"id": None, "text": ["b"]}, {"text": "\ud800"}], [{"id": 4}], []]
    answers = [[{"labels": ["x"]}], [{"labels": []}, {"labels": None}], [{"labels": ["x", "y"]}], []]
    draft.write_bytes(writer.start() + b"".join(map(writer.encode, chunks, answers)))
    writer.finish(draft)
    assert pq.read_schema(draft) == schema
    assert pq.read_metadata(draft).num_row_groups == 2
    assert pq.read_table(draft).to_pylist() == [
        {"id": 1, "text": "a", "labels": ["x"]},
        {"id": None, "text": '["b"]', "labels": []},
        {"id": None, "text": "\\ud800", "labels": None},
        {"id": 4, "text": None, "labels": ["x", "y"]},
    ]
    assert list(tmp_path.iterdir()) == [draft]


def test_parquet_without_rows_has_its_columns(tmp_path):
    writer, draft = Parquet(pa.schema({"a": pa.string()})), tmp_path / "draft"
    draft.write_bytes(writer.start())
    writer.finish(draft)
    assert pq.read_table(draft).schema.names == ["a"]


def test_what_parquet_cannot_hold_is_named():
    said = "cannot be written to Parquet ("
    message = complaint(lambda: Parquet(pa.schema({"a": pa.month_day_nano_interval()})))
    assert message.startswith(f"column 'a' {said}")
    assert message.endswith("): leave it out with --carry, or write JSON lines")
    for value in (2**70, "x"):
        writer = Parquet(pa.schema({"id": pa.int64()}))
        message = complaint(lambda writer=writer, value=value: writer.encode([{"id": value}], [{}]))
        assert message.startswith(f"column 'id' {said}")


def test_a_row_has_its_columns_before_its_answer():
    line = JsonLines().encode([{"id": 1}], [{"label": "a", "probabilities": {"a": 1.0}}])
    assert line == b'{"id": 1, "label": "a", "probabilities": {"a": 1.0}}\n'


def test_a_suffix_says_how_it_is_written():
    schema = pa.schema({"a": pa.string()})
    kinds = {name: type(make_writer(name, None, schema)) for name in ("a.CSV", "b.tsv", "c.parquet")}
    assert kinds == {"a.CSV": Delimited, "b.tsv": Delimited, "c.parquet": Parquet}
    assert make_writer("b.tsv", None, pa.schema({"a": pa.string(), "b": pa.string()})).start() == b"a\tb\n"
    assert make_writer(None, None, None).start() == b""
    assert make_writer("a.csv", str.upper, None).encode([{}], ["é"]) == "É\n".encode()
