"""`predict`: JSON lines and nothing else on standard output, in the order of the rows; bad rows by their line."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightning_clf.cli.predict import readable
from tests.cli.conftest import SINGLE, TAGS, says


@pytest.fixture
def rows(tmp_path):
    """A file of rows, under a name."""

    def write(text: str | bytes, name: str = "rows.jsonl"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_answers_are_json_lines_in_the_order_of_the_rows(command, trained, rows):
    words = ["predict", "--model", trained("single") / "best", "--batch-size", 3, "--input"]
    texts = ["a", "a much longer text about a great film", "b c", "so sad"]
    code, out, err = command(*words, rows("".join(json.dumps({"text": text}) + "\n" for text in texts)))
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    alone = [json.loads(command(*words, rows(text, "one.txt")).out) for text in texts]
    for answer, expected in zip(answers, alone, strict=True):
        assert answer["label"] == expected["label"]
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=2e-6)
        assert answer["probability"] == max(answer["probabilities"].values())
        assert list(answer["probabilities"]) == ["bad", "good"]


def test_bfloat16_is_less_exact(command, trained, rows):
    words = ["predict", "--model", trained("single") / "best", "--input", rows("a much longer text\n", "rows.txt")]
    exact, less = (json.loads(command(*words, *more).out) for more in ((), ("--precision", "bf16-true")))
    assert exact["probability"] != less["probability"] == pytest.approx(exact["probability"], abs=0.01)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", '{"text": "a, b", "id": 1}\n\n{"text": "c"}\n'),
        ("rows.csv", 'id,text\n1,"a, b"\n2,c\n'),
        ("rows.tsv", "text\tid\na, b\t1\nc\t2\n"),
        ("rows.txt", "a, b\nc\n"),
    ],
)
def test_every_format_holds_the_same_rows(command, trained, rows, name, text):
    words = ["predict", "--carry", "--model", trained("single") / "best", "--input"]
    assert command(*words, rows(text, name)).out == command(*words, rows("a, b\nc", "plain")).out


def test_standard_input_is_answered_on_a_clean_standard_output(trained):
    words = ["predict", "--model", trained("tags") / "best.ckpt", "--input", "-"]
    run = subprocess.run(
        [sys.executable, "-m", "lightning_clf", *map(str, words)],
        input="".join(json.dumps({"tokens": row["tokens"]}) + "\n" for row in TAGS) + '{"text": "Zoë’s café"}\n',
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0
    assert [answer["tokens"] for answer in answers] == [*(row["tokens"] for row in TAGS), ["Zoë’s", "café"]]
    assert all(len(answer["tags"]) == len(answer["tokens"]) for answer in answers)


@pytest.mark.process
def test_workers_on_ray_leave_standard_output_clean(command, trained, rows, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    words = ["predict", "--model", trained("single") / "best", "--input", rows("a great film\nso sad\n", "rows.txt")]
    ray = [*map(str, words), "--engine", "ray", "--workers", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "lightning_clf", *ray], capture_output=True, encoding="utf-8", timeout=280
    )
    assert (run.returncode, run.stdout) == (0, command(*words).out)


def test_output_file_is_whole_or_not_there(command, complaint, trained, rows, tmp_path):
    words = ["predict", "--model", trained("single") / "best", "--output", tmp_path / "new" / "out.jsonl", "--input"]
    complaint(*words, rows('{"text": "a"}\n{"txt": "b"}\n'), "--strict")
    assert not (tmp_path / "new").exists()
    code, out, _ = command(*words, rows('{"text": "a"}\n'))
    assert (code, out) == (0, f"written: {tmp_path / 'new' / 'out.jsonl'} (1 row)\n")
    assert len((tmp_path / "new" / "out.jsonl").read_text().splitlines()) == 1


def test_bad_rows_are_set_aside_and_counted(command, trained, rows, tmp_path):
    path, out = rows('{"text": "a", "id": 7}\n{"txt": "b"}\n{\n{"text": "c", "id": 8}\n'), tmp_path / "out.csv"
    words = ["predict", "--model", trained("single") / "best", "--input", path, "--output", out]
    code, printed, err = command(*words, "--carry", "id", "--rejected", tmp_path / "bad.jsonl")
    assert (code, printed) == (0, f"written: {out} (2 rows)\n")
    said = (
        f"{path}: 2 of 4 rows are set aside in {tmp_path / 'bad.jsonl'}; the first: {path} line 2 has no column 'text'"
    )
    assert err.startswith(f"warning: {said}")
    assert [json.loads(line)["line"] for line in (tmp_path / "bad.jsonl").read_text().splitlines()] == [2, 3]
    lines = out.read_text().splitlines()
    assert lines[0] == "id,label,probability,probability/bad,probability/good"
    assert [line.split(",")[0] for line in lines[1:]] == ["7", "8"]
    assert command(*words, "--carry", "id", "--shard", "2/2", "--resume").code == 0
    assert len(out.read_text().splitlines()) == 3  # one chunk, which is the second part's


def test_empty_texts_are_answered_and_counted(command, trained, rows):
    path = rows('{"text": ""}\n{"text": "a"}\n{"text": " "}\n')
    code, out, err = command("predict", "--model", trained("single") / "best", "--input", path)
    assert (code, len(out.splitlines())) == (0, 3)
    assert err == f"warning: {path}: 2 of 3 rows have an empty text; they are answered\n"


def test_pretty_answers_are_for_reading(command, trained, rows):
    code, out, _ = command(
        "predict", "--pretty", "--model", trained("single") / "best", "--input", rows("a\n", "a.txt")
    )
    assert code == 0
    label, probability = out.split()
    assert label in ("good", "bad")
    assert 0.5 <= float(probability.strip("()")) <= 1


def test_a_pretty_answer_is_one_line_whatever_its_words_hold():
    words = {"tokens": ["New\nYork", "\x1b[2J"], "tags": ["A", "B"]}
    assert readable(words) == "New\\nYork/A \\x1b[2J/B"
    assert readable({"tags": words, "kind": {"score": 1.0}}) == "tags: New\\nYork/A \\x1b[2J/B; kind: 1.000"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ('{"text": "a"}\n{"txt": "b"}\n', "rows.jsonl", ("line 2 has no column 'text'", "'txt'", "--text-column")),
        ('{"text": "a"}\n{"text"\n', "rows.jsonl", ("line 2 is not JSON", "write one JSON object a line")),
        ('{"text": 3}\n', "rows.jsonl", ("column 'text'", "line 1", "not text", "correct the row")),
        ('{"text": "\\ud800"}\n', "rows.jsonl", ("column 'text'", "line 1", "surrogate", "correct")),
        ("text,id\na\n", "rows.csv", ("line 2 has 1 fields where the header has 2", "quote fields")),
        (b"caf\xe9\n", "rows.txt", ("is not UTF-8 (line 1, byte 4", "save it as UTF-8")),
        ("", "rows.jsonl", ("is empty", "at least one row")),
        ("", "rows.txt", ("is empty", "give one input a line")),
    ],
    ids=["no column", "malformed", "number", "surrogate", "short row", "latin-1", "empty", "empty lines"],
)
def test_row_that_cannot_be_read_is_told_by_its_line(complaint, trained, rows, text, name, said):
    path = rows(text, name)
    says(complaint("predict", "--strict", "--model", trained("single") / "best", "--input", path), *said)


def test_column_that_is_named_is_the_one_that_is_read(command, complaint, trained, rows):
    words = ["predict", "--carry", "--model", trained("single") / "best", "--input"]
    named = [*words, rows('{"text": "a", "title": "b"}\n'), "--text-column"]
    assert command(*named, "title").out == command(*words, rows("b", "b.txt")).out
    says(complaint(*named, "heading"), "line 1 has no column 'heading'", "'text', 'title'", "--text-column")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ("required: --model, --input", "see lightning-clf predict --help")),
        (["--model", "m", "--input", "i", "--bogus"], ("unrecognized arguments: --bogus", "predict --help")),
        (["--model", "m", "--input", "i", "--batch-size", "0"], ("--batch-size: 0 is not a whole number from 1 up",)),
        (["--model", "m", "--input", "i", "--batch-size", "x"], ("--batch-size: x is not a whole number from 1 up",)),
        (["--model", "m", "--input", "i", "--precision", "fp8"], ("--precision: invalid choice: 'fp8'", "bf16-true")),
        (["--model", "m", "--input", "i", "--shard", "3/2"], ("--shard: 3/2 is no part such as 1/8, from 1/N to N/N",)),
        (["--model", "m", "--input", "i", "--workers", "2"], ("--workers is of --engine ray", "leave out --workers")),
        (
            ["--model", "/nowhere", "--input", "i"],
            ("model /nowhere does not exist", "give a .ckpt file", "or a folder such as RUN/best"),
        ),
        (
            ["--model", ".", "--input", "i"],
            ("folder . holds no lightning_clf.json", "give a folder that `fit` exported"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_are_not_right_are_named(complaint, words, said):
    says(complaint("predict", *words), *said)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--input", "nowhere.jsonl", ("file nowhere.jsonl does not exist", "correct the path")),
        ("--output", "rows.jsonl/out.jsonl", ("rows.jsonl/out.jsonl cannot be written", "choose another place")),
        ("--device", "nonsense", ("device 'nonsense'", "choose")),
    ],
)
def test_files_and_devices_that_cannot_be_used_are_named(complaint, trained, rows, monkeypatch, option, value, said):
    monkeypatch.chdir(rows('{"text": "a"}\n').parent)
    words = ["predict", "--model", trained("single") / "best", "--input", "rows.jsonl"]
    says(complaint(*words, option, value), *said)


@pytest.mark.parametrize("typed", ["", '{"text": "a"}\n["b"]\n'])
def test_standard_input_that_cannot_be_read_is_named(complaint, trained, monkeypatch, typed):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    message = complaint("predict", "--strict", "--model", trained("single") / "best", "--input", "-")
    says(message, "standard input", *(["line 2", "one object a line"] if typed else ["is empty", "one input a line"]))


def test_rows_of_training_are_read_by_their_columns(command, trained):
    path = trained("single").parent / "data" / "test.jsonl"
    code, out, _ = command("predict", "--model", trained("single") / "best", "--input", path)
    assert (code, len(out.splitlines())) == (0, len(SINGLE))


def test_words_in_columns_and_tables_are_rows(command, trained, rows, tmp_path):
    words = ["predict", "--carry", "--model", trained("tags") / "best", "--input"]
    lines = "".join(json.dumps({"tokens": row["tokens"]}) + "\n" for row in TAGS)
    expected = command(*words, rows(lines)).out
    conll = "\n\n".join("\n".join(row["tokens"]) for row in TAGS)
    assert command(*words, rows(conll, "rows.conll")).out == expected
    pq.write_table(pa.table({"tokens": [row["tokens"] for row in TAGS]}), tmp_path / "rows.parquet")
    assert command(*words, tmp_path / "rows.parquet").out == expected


def test_a_suffix_that_tells_no_format(complaint, trained, rows):
    file = rows('{"text": "a"}\n', "rows.json")
    message = complaint("predict", "--model", trained("single") / "best", "--input", file)
    says(message, "rows.json has a suffix that tells no format", "jsonl", "txt for plain text")


def test_a_spreadsheet_is_neither_read_nor_written(complaint, trained, rows, tmp_path):
    words = ["predict", "--model", trained("single") / "best", "--input"]
    says(complaint(*words, rows("PK", "rows.xlsx")), "rows.xlsx is a spreadsheet", "save its sheet as CSV in UTF-8")
    message = complaint(*words, rows('{"text": "a"}\n'), "--output", tmp_path / "answers.xlsx")
    says(message, "answers.xlsx has the suffix of a format that is not written", "use .jsonl, .csv, .tsv or .parquet")
    assert not (tmp_path / "answers.xlsx").exists()


def test_a_part_without_rows_is_told(command, trained, rows, tmp_path):
    file, out = rows('{"text": "a"}\n' * 3), tmp_path / "out.jsonl"
    words = ["predict", "--model", trained("single") / "best", "--input", file, "--output", out, "--shard"]
    code, _, err = command(*words, "1/2")
    assert code == 0
    assert f"warning: {file}: part 1/2 has no row: parts are of whole 2,048 rows, and there are 3" in err
    assert "has no row" not in command(*words, "2/2").err


def test_a_prediction_that_is_stopped_leaves_nothing_half_written(command, trained, rows, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("lightning_clf.inference.classifier.answer", stop)
    out, texts = tmp_path / "answers.jsonl", rows("a\nb\n", "texts.txt")
    words = ["predict", "--model", trained("single") / "best", "--input", texts]
    code, _, err = command(*words, "--output", out)
    assert code == 130
    assert err.splitlines()[-1] == "stopped by Ctrl-C; the same command with --resume goes on"
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]
    code, _, err = command(*words)
    assert (code, err.splitlines()[-1]) == (130, "stopped by Ctrl-C")  # nothing was kept
    monkeypatch.undo()
    assert command(*words, "--output", out, "--resume").code == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2
