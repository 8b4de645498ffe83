"""Files in chunks: the same rows out whatever the chunk, tables of the right columns, bad rows set aside, parts."""

from __future__ import annotations

import csv
import json
import math
import random
import sys
import tracemalloc
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_clf.inference import files, predict_file
from tests.inference.echo import ROWS, Echo, expected, read_jsonl, write_jsonl
from tests.training import complaint


def predict(model, source, target, **options):
    """Predict, without the warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return predict_file(model, str(source), str(target), **options)


@given(chunk=st.integers(1, 30), count=st.integers(1, 23), bad=st.sets(st.integers(0, 22), max_size=6), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_and_parts_do_not_show(chunk, count, bad, data, echo, tmp_path, monkeypatch):
    """Whatever the chunk and the parts, the rows are those of the file, in order, and so are those set aside."""
    monkeypatch.setattr(files, "_CHUNK", chunk)
    rows, good = ROWS[:count], [row for place, row in enumerate(ROWS[:count]) if place not in bad]
    if not good:
        return
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join("{\n" if row["id"] in bad else json.dumps(row) + "\n" for row in rows))
    assert predict(echo, source, target) == len(good)
    assert read_jsonl(target) == expected(echo, good)
    set_aside = tmp_path / "out.jsonl.rejected.jsonl"
    lines = [row["line"] for row in read_jsonl(set_aside)] if set_aside.exists() else []
    assert lines == [place + 1 for place in sorted(bad) if place < count]
    parts = data.draw(st.integers(1, 5))
    whole = b""
    for number in range(1, parts + 1):
        try:
            predict(echo, source, tmp_path / "part.jsonl", shard=(number, parts))
            whole += (tmp_path / "part.jsonl").read_bytes()
        except files.InputError as error:
            assert "none of" in str(error)  # noqa: PT017 (a part of bad rows alone)
    assert whole == target.read_bytes()


def test_one_in_a_hundred_rows_is_bad(echo, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 64)
    draw = random.Random(0)
    kinds = [b"{", b"[1]", b'{"sentence": 3}', b'{"text_": "a"}', b'{"sentence": "\xff"}', b'{"sentence": "\\ud800"}']
    bad = {number: kinds[place % len(kinds)] for place, number in enumerate(draw.sample(range(1000), 10))}
    lines = [bad.get(number, json.dumps({"sentence": f"text {number}"}).encode()) for number in range(1000)]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(lines))
    with pytest.warns(
        UserWarning, match=r"10 of 1000 rows are set aside in .*out\.jsonl\.rejected\.jsonl; the first: "
    ):
        count = predict_file(echo, str(tmp_path / "rows.jsonl"), str(tmp_path / "out.jsonl"))
    assert count == 990
    rejected = read_jsonl(tmp_path / "out.jsonl.rejected.jsonl")
    assert [row["line"] for row in rejected] == [number + 1 for number in sorted(bad)]
    assert all(f"line {row['line']}" in row["reason"] for row in rejected)
    by_kind = {bad[row["line"] - 1]: row["row"] for row in rejected}
    assert by_kind == {
        b"{": "{", b"[1]": "[1]", b'{"sentence": 3}': {"sentence": 3}, b'{"text_": "a"}': {"text_": "a"},
        b'{"sentence": "\xff"}': '{"sentence": "\\xff"}', b'{"sentence": "\\ud800"}': {"sentence": "\ud800"},
    }  # fmt: skip
    answered = [json.loads(line) for number, line in enumerate(lines) if number not in bad]
    assert read_jsonl(tmp_path / "out.jsonl") == expected(echo, answered)
    # a run in which all is well leaves no such file, nor that of the run before
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    predict(echo, tmp_path / "rows.jsonl", tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def write(name, path):
    if name == "rows.parquet":
        pq.write_table(pa.table({"txt": ["a"], "id": [1]}), path)
    else:
        path.write_text({"rows.csv": "txt,id\na,1\n", "rows.tsv": "txt\tid\na\t1\n", "rows.conll": "a O\n"}[name])


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.parquet", "rows.conll"])
def test_a_column_that_a_table_lacks_is_a_fault_of_the_file(name, echo, tmp_path):
    write(name, tmp_path / name)
    message = complaint(lambda: predict_file(echo, str(tmp_path / name), str(tmp_path / "out.csv")))
    assert f"file {tmp_path / name} has no column 'sentence', only" in message
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_of_which_no_row_can_be_read(echo, tmp_path):
    (tmp_path / "rows.csv").write_text("sentence,id\n" + "a\n" * 9)
    message = complaint(lambda: predict_file(echo, str(tmp_path / "rows.csv"), None))
    assert message.startswith("none of the first 9 rows can be read; the first: ")
    assert "line 2 has 1 fields where the header has 2" in message


EACH = {f"probability/{name}" for name in ("bad", "fine", "good")}


@pytest.mark.parametrize("out", ["out.csv", "out.tsv"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_tables_of_text(name, out, echo, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    rows = [{"id": number, "sentence": text, "label": "x"} for number, text in enumerate(["a", 'b, "c"', "é\n\td"])]
    if name == "rows.csv":
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", "sentence", "label"], *(row.values() for row in rows)])
    elif name == "rows.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        write_jsonl(tmp_path / name, rows)
    predict(echo, tmp_path / name, tmp_path / out)
    with (tmp_path / out).open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, delimiter="\t" if out.endswith("tsv") else ","))
    assert set(read[0]) == {"id", "sentence", "input/label", "label", "probability", *EACH}
    for cells, row, answer in zip(read, rows, echo.predict(rows), strict=True):
        assert (int(cells["id"]), cells["sentence"], cells["input/label"]) == (row["id"], row["sentence"], "x")
        assert cells["label"] == answer["label"]
        assert float(cells["probability"]) == answer["probability"]
        assert {name: float(cells[f"probability/{name}"]) for name in answer["probabilities"]} == answer[
            "probabilities"
        ]


def test_types_of_a_parquet_file_are_kept(echo, tmp_path):
    table = pa.table({
        "sentence": pa.array(["a", "b"], pa.large_string()), "n": pa.array([1, None], pa.int16()),
        "when": pa.array([0, 1], pa.date32()), "kind": pa.array(["x", "y"]).dictionary_encode(),
        "tags": pa.array([["p"], []], pa.list_(pa.string())),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "rows.parquet")
    predict(echo, tmp_path / "rows.parquet", tmp_path / "out.parquet", carry=["n", "when", "kind", "tags"])
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.schema.names[:4] == ["n", "when", "kind", "tags"]
    assert out.schema.types[:4] == [pa.int16(), pa.date32(), pa.string(), pa.list_(pa.string())]
    assert (
        out.select(["n", "when", "kind", "tags"]).to_pylist() == table.select(["n", "when", "kind", "tags"]).to_pylist()
    )


def test_columns_of_json_lines_are_those_of_any_row(echo, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    rows = [
        {"sentence": "a", "i": 1, "f": 1, "m": 1, "o": {"x": 1}, "big": 1},
        {"sentence": "b", "i": None, "f": 0.5, "m": "é", "o": [2]},
        {"sentence": "c", "late": True, "big": 2**70},
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    predict(echo, tmp_path / "rows.jsonl", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert dict(zip(table.schema.names[:7], table.schema.types[:7], strict=True)) == {
        "sentence": pa.string(), "i": pa.int64(), "f": pa.float64(), "m": pa.string(), "o": pa.string(),
        "big": pa.string(), "late": pa.bool_(),
    }  # fmt: skip
    assert table.select(["i", "f", "m", "o", "big", "late"]).to_pylist() == [
        {"i": 1, "f": 1.0, "m": "1", "o": '{"x": 1}', "big": "1", "late": None},
        {"i": None, "f": 0.5, "m": "é", "o": "[2]", "big": None, "late": None},
        {"i": None, "f": None, "m": None, "o": None, "big": str(2**70), "late": True},
    ]


def test_whole_numbers_that_no_float_holds_are_text_beside_one(echo, tmp_path):
    long = 2**53 + 1
    rows = [{"sentence": "a", "id": long, "n": long, "f": 2**53}, {"sentence": "b", "id": 1.5, "n": 1, "f": 1.5}]
    write_jsonl(tmp_path / "rows.jsonl", [*rows, {"sentence": "c", "id": math.nan}])
    predict(echo, tmp_path / "rows.jsonl", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").select(["id", "n", "f"])
    assert table.schema.types == [pa.string(), pa.int64(), pa.float64()]
    assert table.to_pydict() == {"id": [str(long), "1.5", ""], "n": [long, 1, None], "f": [2.0**53, 1.5, None]}


def test_categories_within_lists_and_parts_are_written_as_what_they_stand_for(echo, tmp_path):
    kind = pa.dictionary(pa.int32(), pa.string())
    part = pa.struct({"a": kind, "n": pa.int8()})
    columns = {
        "each": (pa.list_(kind), [["x", "y"], None], pa.list_(pa.string())),
        "large": (pa.large_list(kind), [["x"], []], pa.large_list(pa.string())),
        "two": (pa.list_(kind, 2), [["x", "y"], ["y", "x"]], pa.list_(pa.string(), 2)),
        "part": (part, [{"a": "x", "n": 1}, {"a": "y", "n": None}], pa.struct({"a": pa.string(), "n": pa.int8()})),
        "map": (pa.map_(pa.string(), kind), [[("k", "x")], []], pa.map_(pa.string(), pa.string())),
    }
    made = {name: pa.array(values, kind) for name, (kind, values, _) in columns.items()}
    pq.write_table(pa.table({"sentence": ["a", "b"], **made}), tmp_path / "rows.parquet")
    predict(echo, tmp_path / "rows.parquet", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").select(list(columns))
    assert table.to_pydict() == {name: values for name, (_, values, _) in columns.items()}
    for name, (*_, wanted) in columns.items():
        assert table.schema.field(name).type == wanted


def test_standard_input_tells_no_columns_of_a_table(echo, tmp_path, monkeypatch):
    import io

    for carry, fine in ((None, False), ([], True)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"sentence": "a"}\n')))
        run = lambda carry=carry: predict(echo, "-", tmp_path / "out.csv", carry=carry)  # noqa: E731
        if fine:
            assert run() == 1
        else:
            assert "standard input can be read only once" in complaint(run)


def test_tags_in_tables(classifier, tmp_path):
    model = Echo(classifier("tags").artefact)
    rows = [{"tokens": ["Anna", "sleeps"], "tags": ["B-PER", "O"]}, {"tokens": [], "tags": []}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    answers = model.predict(rows)
    predict(model, tmp_path / "rows.jsonl", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [json.loads(row["input/tags"]) for row in read] == [row["tags"] for row in rows]
    assert [{key: json.loads(row[key]) for key in answers[0]} for row in read] == answers
    predict(model, tmp_path / "rows.jsonl", tmp_path / "out.parquet", carry=[])
    assert pq.read_table(tmp_path / "out.parquet").to_pylist()[0]["entities"] == [
        {"type": "PER", "start": 0, "end": 1, "text": "Anna", "char_start": None, "char_end": None}
    ]


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_a_part_that_is_none(shard, echo, tmp_path):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    message = complaint(lambda: predict_file(echo, str(source), str(tmp_path / "out.jsonl"), shard=shard))
    assert message == f"shard {shard[0]}/2 is none: count from 1/2 to 2/2"


def test_memory_does_not_grow_with_the_file(echo, tmp_path, monkeypatch):
    """What Python holds at most is of a chunk, not of the file."""
    monkeypatch.setattr(files, "_CHUNK", 50)
    peaks = []
    for count in (300, 1500):
        rows = ({"sentence": f"text {number}", "more": "x" * 500} for number in range(count))
        write_jsonl(tmp_path / "rows.jsonl", rows)
        tracemalloc.start()
        predict(echo, tmp_path / "rows.jsonl", tmp_path / "out.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
