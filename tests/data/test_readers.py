"""Every format gives the rows of its file, and says in which line a file goes wrong."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from lightning_clf.data.readers import Format, read_rows
from lightning_clf.data.split import DatasetSplit

from .conftest import complaint


def read(tmp_path: Path, content: str | bytes, format: Format) -> list[tuple[int, dict]]:
    path = tmp_path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(path, format, "dev"))


def fault(tmp_path: Path, content: str | bytes, format: Format) -> str:
    return complaint(lambda: read(tmp_path, content, format))


def test_jsonl_skips_blank_lines_and_keeps_count(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": 1}\n\n{"a": "ü"}', "jsonl") == [(1, {"a": 1}), (3, {"a": "ü"})]


def test_jsonl_line_separators_inside_a_string_are_no_line_ends(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": "x\u2028y\x85z"}\r\n', "jsonl") == [(1, {"a": "x\u2028y\x85z"})]


def test_byte_order_mark_is_not_content(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufefftext,label\na,b\n", "csv") == [(2, {"text": "a", "label": "b"})]


def test_csv_quotes(tmp_path: Path) -> None:
    content = 'text,label\r\n"one, ""two""\nthree",x\r\n\r\nfour,y\r\n'
    assert read(tmp_path, content, "csv") == [
        (2, {"text": 'one, "two"\nthree', "label": "x"}),
        (5, {"text": "four", "label": "y"}),
    ]


def test_csv_long_field(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"text,label\n{'a' * 200_000},x\n", "csv")[0][1]["text"]) == 200_000


def test_tsv(tmp_path: Path) -> None:
    assert read(tmp_path, 'text\tlabel\nsay "a", b\tx\n', "tsv") == [(2, {"text": 'say "a", b', "label": "x"})]


def test_parquet_counts_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), tmp_path / "x.parquet")
    rows = list(read_rows(tmp_path / "x.parquet", "parquet"))
    assert rows == [(1, {"text": "a", "label": 0}), (2, {"text": "b", "label": 1})]


def test_conll(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O\n\nEU NNP\tI-ORG \nrejects VBZ O\n\n\n\u00a0 X O\n-DOCSTART- -X- O\nPeter NNP I-PER"
    assert read(tmp_path, content, "conll") == [
        (3, {"tokens": ["EU", "rejects"], "1": ["EU", "rejects"], "2": ["NNP", "VBZ"], "3": ["I-ORG", "O"]}),
        (7, {"tokens": ["\u00a0"], "1": ["\u00a0"], "2": ["X"], "3": ["O"]}),
        (9, {"tokens": ["Peter"], "1": ["Peter"], "2": ["NNP"], "3": ["I-PER"]}),
    ]


@pytest.mark.parametrize(
    ("format", "content", "message"),
    [
        ("jsonl", "", "file dev is empty"),
        ("jsonl", "\n \n", "file dev holds no rows"),
        ("jsonl", '{"a": 1}\n{"a": x\n', "dev line 2 is not JSON (Expecting value at column 7)"),
        ("jsonl", "[1]\n", "dev line 1 is a JSON array, not an object"),
        ("jsonl", '{"a": 1}\n"b"\n', "dev line 2 is a JSON string, not an object"),
        ("jsonl", "null\n", "dev line 1 is a JSON null, not an object"),
        ("jsonl", '{"a": 1}\n{"b": 1, "a": 1, "b": 1}\n', "dev line 2 gives the key 'b' twice: keep one of them"),
        ("jsonl", '{"a": {"b": 1, "b": 2}}\n', "dev line 1 gives the key 'b' twice"),
        ("jsonl", "[" * 100_000, "dev line 1 is JSON too large to read"),
        ("jsonl", b'{"a": 1}\n{"a": "' + b'\xff"}\n', "file dev is not UTF-8 (line 2, byte 8 of it)"),
        ("csv", "text,label\n", "file dev holds no rows"),
        (
            "csv",
            "text;label\na, b;x\n",
            "dev line 1 is a header of one column, 'text;label', with ';' in it: put a comma between fields, and quote "
            "fields that hold one",
        ),
        ("csv", "text\tlabel\na\tx\n", "one column, 'text\\tlabel', with '\\t' in it: put a comma between fields"),
        ("tsv", "text,label\na,x\n", "one column, 'text,label', with ',' in it: put a tab between fields"),
        ("csv", "text,label\na,b\nc\n", "dev line 3 has 1 fields where the header has 2"),
        ("csv", 'text,label\n"a\nb",x\nc,y,z\n', "dev line 4 has 3 fields where the header has 2"),
        ("csv", "text,text\na,b\n", "dev line 1 is not a header (text, text)"),
        ("csv", "text,\na,b\n", "dev line 1 is not a header (text, )"),
        (
            "csv",
            ",text\n0,a\n",
            "as column 1 has no name: name it, or write the table without its index (index=False in",
        ),
        ("csv", "text,label\na,b\n".encode("utf-16"), "file dev is not UTF-8 but UTF-16: save it as UTF-8"),
        (
            "jsonl",
            '{"a": 1}\n'.encode("utf-16-le"),
            "file dev is not UTF-8 but UTF-16, or no text (line 1 holds bytes of",
        ),
        ("tsv", b"PK\x03\x04\x14\x00\x06\n", "UTF-16, or no text (line 1 holds bytes of zero): save it as UTF-8"),
        ("csv", "text,label\ra,b\r", "file dev has lines that end in CR alone: save it with line ends of LF or CRLF"),
        ("jsonl", '{"a": 1}\r{"a": 2}\r', "file dev has lines that end in CR alone"),
        ("conll", "a O\rb O\r", "file dev has lines that end in CR alone"),
        ("csv", 'text,label\n"a"b,x\n', "dev line 2 is malformed"),
        ("csv", 'text,label\n"a,x\n', "dev line 2 is malformed (unexpected end of data)"),
        ("csv", b"text,label\na,b\n\xe9,c\n", "file dev is not UTF-8 (line 3, byte 1 of it)"),
        ("parquet", "text", "file dev is not a Parquet file that can be read"),
        ("conll", "a O\nb X O\n", "dev line 2 has 3 columns where the lines before have 2"),
        ("conll", "\n-DOCSTART- O\n\n", "file dev holds no rows"),
    ],
)
def test_faults(tmp_path: Path, format: Format, content: str | bytes, message: str) -> None:
    assert message in fault(tmp_path, content, format)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "file dev does not exist" in complaint(lambda: list(read_rows(tmp_path / "no", "csv", "dev")))
    assert "file dev cannot be read (Is a directory)" in complaint(lambda: list(read_rows(tmp_path, "csv", "dev")))


@pytest.mark.parametrize(
    "text", ['text\tlabel\n"A joy, he said.\tgood\ndull\tbad\nagain"\tgood\n', 'text\tlabel\n"A\tjoy"\tgood\n']
)
def test_tsv_whose_quotes_are_part_of_the_text_swallows_no_row(tmp_path: Path, text: str) -> None:
    assert "has a quoted field that holds a tab or goes on to line" in fault(tmp_path, text, "tsv")


BAD_TEXT = pa.array([b"a", b"b", b"caf\xe9", b"d"]).view(pa.string())


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (BAD_TEXT, "is not UTF-8: recode it"),
        (pa.ListArray.from_arrays([0, 1, 2, 4, 4], BAD_TEXT), "is not UTF-8: recode it"),
        (pa.array([0, 0, 2**30, 0], pa.int32()).cast(pa.date32()), "cannot be read (OverflowError: days="),
    ],
    ids=["text", "list", "date"],
)
def test_arrow_values_that_cannot_be_read_are_told_by_row_and_column(
    tmp_path: Path, column: pa.Array, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_clf.data.readers._PARQUET_BATCH", 2)
    monkeypatch.setattr("lightning_clf.data.split._BATCH", 2)
    table = pa.table({"label": [0, 1, 2, 3], "column": column})
    pq.write_table(table, tmp_path / "file")
    message = complaint(lambda: list(read_rows(tmp_path / "file", "parquet", "dev")))
    assert message.startswith(f"column 'column' of dev row 3 {said}")
    message = complaint(lambda: list(DatasetSplit(Dataset(table), "train").rows()))
    assert message.startswith(f"column 'column' of train[2] {said}")


def test_rows_of_a_data_set_are_counted_on_from_batch_to_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_clf.data.split._BATCH", 2)
    data = [{"a": number} for number in range(5)]
    assert list(DatasetSplit(Dataset.from_list(data), "train").rows()) == list(enumerate(data))


def test_parquet_column_of_which_there_are_two_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"]), tmp_path / "file")
    message = complaint(lambda: list(read_rows(tmp_path / "file", "parquet", "dev")))
    assert message == "file dev has two columns 'text': rename or remove one of them"
