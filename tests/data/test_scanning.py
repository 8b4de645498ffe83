"""Files are read past rows that cannot be: every other row comes out, at its own line, and no bad one is lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.data import delimited
from lightning_clf.data.lines import RowError
from lightning_clf.data.readers import Format, scan_rows


def scan(content: str | bytes, format: Format) -> tuple[list, list]:
    """The rows, and of those that cannot be read the line, the message and what there is of them."""
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    good, bad = [], []
    for number, row in scan_rows(file, format, "f"):
        if isinstance(row, RowError):
            bad.append((number, str(row), row.raw))
        else:
            good.append((number, row))
    return good, bad


def test_json_lines():
    good, bad = scan(
        b'{"a": 1}\n{"a"\n\n[2]\n{"a": "\xe9"}\r\n{"a": 1, "a": 2}\n' + b"[" * 99_999 + b'\n{"a": 3}', "jsonl"
    )
    assert good == [(1, {"a": 1}), (8, {"a": 3})]
    assert [(number, raw) for number, _, raw in bad] == [
        (2, '{"a"'), (4, "[2]"), (5, '{"a": "\\xe9"}'), (6, '{"a": 1, "a": 2}'), (7, "[" * 99_999)
    ]  # fmt: skip
    says = [
        "is not JSON",
        "is a JSON array",
        "is not UTF-8 (line 5, byte 8 of it)",
        "gives the key 'a' twice",
        "too large",
    ]
    assert all(part in message for part, (_, message, _) in zip(says, bad, strict=True))


def test_csv():
    content = b'a,b\n1,2\n1\n1,2,3\n"x\ny",2\n\n"\xff\ny",2\n\xff,2\n"q"q,1\n3,4\n'
    good, bad = scan(content, "csv")
    assert good == [(2, {"a": "1", "b": "2"}), (5, {"a": "x\ny", "b": "2"}), (12, {"a": "3", "b": "4"})]
    assert [(number, raw) for number, _, raw in bad] == [
        (3, "1"), (4, "1,2,3"), (8, '"\\xff\ny",2'), (10, "\\xff,2"), (11, '"q"q,1')
    ]  # fmt: skip
    says = ["1 fields where the header has 2", "3 fields", "line 8, byte 2", "line 10, byte 1", "line 11 is malformed"]
    assert all(part in message for part, (_, message, _) in zip(says, bad, strict=True))


def test_a_quote_that_nobody_closed_costs_one_row():
    good, bad = scan('a,b\n1,2\n"open,3\n4,5\n6,7\n', "csv")
    assert [number for number, _ in good] == [2, 4, 5]
    assert [(number, raw) for number, _, raw in bad] == [(3, '"open,3')]
    good, bad = scan('a,b\n"open,3\n4,5\n"closed",7\n', "csv")
    assert [number for number, _ in good] == [3, 4]
    assert [number for number, *_ in bad] == [2]


def test_a_quote_that_nobody_closed_does_not_take_in_the_file(monkeypatch):
    monkeypatch.setattr(delimited, "_LONGEST_ROW", 50)
    good, bad = scan('a,b\n"open,3\n' + "4,5\n" * 1000, "csv")
    assert [number for number, _ in good] == list(range(3, 1003))
    assert "a quoted field goes on for more than 50 characters" in bad[0][1]


def test_tsv_whose_quotes_are_part_of_the_text():
    good, bad = scan('a\tb\n"A joy, he said.\tx\ndull\ty\nagain"\tz\nw\tw\n', "tsv")
    assert [(number, row["a"]) for number, row in good] == [(3, "dull"), (4, 'again"'), (5, "w")]
    assert [(number, raw) for number, _, raw in bad] == [(2, '"A joy, he said.\tx')]


def test_a_header_that_is_none_is_a_fault_of_the_file():
    for content in (b"a,a\n1,2\n", b"a,\xff\n1,2\n", b'"a"b,c\n1,2\n'):
        with pytest.raises(Exception, match="line 1") as caught:
            scan(content, "csv")
        assert not isinstance(caught.value, RowError) or "UTF-8" in str(caught.value)


def test_conll_sets_aside_whole_sentences():
    good, bad = scan(b"a O\nb O\n\nc O\nd X O\ne O\n\nf \xff\n\ng O\n", "conll")
    assert [(number, row["tokens"]) for number, row in good] == [(1, ["a", "b"]), (10, ["g"])]
    assert [(number, raw) for number, _, raw in bad] == [(4, "c O\nd X O\ne O"), (8, "f \\xff")]
    assert "line 5 has 3 columns" in bad[0][1]
    assert "line 8, byte 3" in bad[1][1]


def test_parquet_sets_aside_rows_with_values_that_cannot_be_read(tmp_path: Path):
    text = pa.array([b"a", b"caf\xe9", b"c"]).view(pa.string())
    pq.write_table(pa.table({"id": [1, 2, 3], "text": text}), tmp_path / "f")
    good, bad = scan((tmp_path / "f").read_bytes(), "parquet")
    assert good == [(1, {"id": 1, "text": "a"}), (3, {"id": 3, "text": "c"})]
    assert bad == [(2, "column 'text' of f row 2 is not UTF-8: recode it", {"id": 2})]


cells = st.text(st.sampled_from('ab,"\n\r é\t'), max_size=6)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_csv_is_what_the_standard_library_reads(rows):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("x", "y"), *rows])
    good, bad = scan(out.getvalue(), "csv")
    assert not bad
    assert [tuple(row.values()) for _, row in good] == rows


@given(
    st.lists(st.sampled_from([b'{"a": 1}', b"{", b"", b"\xff", b"7", b'{"b": "\xc3\xa9"}']), min_size=1, max_size=12)
)
def test_every_line_of_json_is_a_row_or_a_fault_at_its_number(lines):
    if not any(lines):
        return
    good, bad = scan(b"\n".join(lines), "jsonl")
    expected = {}
    for number, line in enumerate(lines, start=1):
        try:
            expected[number] = isinstance(json.loads(line.decode()), dict)
        except ValueError:
            expected[number] = False
        if not line:
            del expected[number]
    assert {number: True for number, _ in good} | {number: False for number, *_ in bad} == expected


@given(st.lists(st.sampled_from(["1,2", '"a\nb",c', '"open,1', "1", 'x"y,2', '"a"b,1', "", '"",""']), max_size=10))
def test_no_line_of_csv_is_lost(lines):
    lines = ["a,b", *lines, "9,9"]
    good, bad = scan("\n".join(lines), "csv")
    raw = "".join([*(",".join(row.values()) for _, row in good), *(text for *_, text in bad)])
    drop = str.maketrans("", "", '"\n')
    assert sorted(raw.translate(drop)) == sorted("".join(lines[1:]).translate(drop))
