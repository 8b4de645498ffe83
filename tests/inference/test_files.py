"""Files of rows to files of answers: every format, every row, in order, and whole or not at all."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from lightning_clf.inference import files, predict_file
from tests.training import complaint

TEXTS = ["a great joy", 'a "dull", story', "happy\tand sad", "", "naïve café 🎉", "grateful " * 30, "angry"]


def plain(text: str) -> str:
    return text.replace("\t", " ")


def as_jsonl(texts):
    return "".join(json.dumps({"sentence": text, "id": place}) + "\n" for place, text in enumerate(texts))


def as_csv(texts):
    return "id,sentence\n" + "".join(
        '{},"{}"\n'.format(place, text.replace('"', '""')) for place, text in enumerate(texts)
    )


def as_tsv(texts):
    return "id\tsentence\n" + "".join(f"{place}\t{plain(text)}\n" for place, text in enumerate(texts))


def as_lines(texts):
    return "".join(f"{plain(text)}\n" for text in texts)


@pytest.fixture
def expected(classifier):
    return {plain(text): classifier("single").predict([plain(text)])[0]["label"] for text in TEXTS}


def labels(path):
    return [json.loads(line)["label"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("name", "write"), [
    ("rows.jsonl", as_jsonl), ("rows.csv", as_csv), ("rows.tsv", as_tsv), ("rows.txt", as_lines), ("rows", as_lines),
    ("ROWS.JSONL", as_jsonl),
])  # fmt: skip
@pytest.mark.parametrize("chunk", [1, 3, 2048])
def test_every_format_gives_a_line_a_row_in_order(name, write, chunk, classifier, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", chunk)
    texts = [text if write in (as_jsonl, as_csv) else plain(text) for text in TEXTS]
    if write is as_tsv:
        texts[1] = texts[1].replace('"', "")
        expected[texts[1]] = classifier("single").predict([texts[1]])[0]["label"]
    for text in texts:
        expected.setdefault(text, classifier("single").predict([text])[0]["label"])
    (tmp_path / name).write_text(write(texts), encoding="utf-8")
    with pytest.warns(UserWarning, match="1 of 7 rows have an empty text; they are answered"):
        count = predict_file(classifier("single"), str(tmp_path / name), str(tmp_path / "out.jsonl"), batch_size=2)
    assert count == 7
    assert labels(tmp_path / "out.jsonl") == [expected[text] for text in texts]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.jsonl"])


@pytest.mark.parametrize("write", [as_jsonl, as_lines, lambda texts: as_jsonl(texts).replace("\n", "\n\n")])
@pytest.mark.parametrize("target", [None, "-"])
def test_standard_input_to_standard_output(write, target, classifier, expected, monkeypatch, capsys):
    texts = [plain(text) for text in TEXTS if text]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(write(texts).encode()), encoding="utf-8"))
    assert predict_file(classifier("single"), "-", target) == 6
    answers = [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()]
    assert answers == [expected[text] for text in texts]


def test_standard_output_is_utf_8_whatever_the_locale(classifier, tmp_path, monkeypatch):
    (tmp_path / "rows.txt").write_text("北京\n", encoding="utf-8")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    predict_file(classifier("tags"), str(tmp_path / "rows.txt"), None)
    assert json.loads(written.getvalue())["tokens"] == ["北", "京"]


def test_standard_output_may_be_text_alone(classifier, tmp_path, monkeypatch):
    (tmp_path / "rows.txt").write_text("北京\n", encoding="utf-8")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    predict_file(classifier("tags"), str(tmp_path / "rows.txt"), None)
    assert json.loads(written.getvalue())["tokens"] == ["北", "京"]


def test_answers_may_be_shown_in_another_way(classifier, tmp_path):
    (tmp_path / "rows.txt").write_text("Paris\n", encoding="utf-8")
    predict_file(
        classifier("tags"), str(tmp_path / "rows.txt"), str(tmp_path / "out"), show=lambda answer: answer["tokens"][0]
    )
    assert (tmp_path / "out").read_text() == "Paris\n"


@pytest.mark.parametrize("target", ["rows.jsonl", "./folder/../rows.jsonl", "link.jsonl", "absolute"])
@pytest.mark.parametrize("source", ["rows.jsonl", "link.jsonl"])
def test_answers_never_take_the_place_of_what_they_answer(source, target, classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text(as_jsonl(TEXTS), encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to(path)
    (tmp_path / "folder").mkdir()
    target = str(path) if target == "absolute" else target
    message = complaint(lambda: predict_file(classifier("single"), source, target))
    assert message == f"the answers would replace the rows, as {target} is {source}: write them to another file"
    assert path.read_text(encoding="utf-8") == as_jsonl(TEXTS)
    assert (tmp_path / "link.jsonl").is_symlink()


@pytest.mark.parametrize(("content", "message"), [
    (as_jsonl(TEXTS) + "{\n", "rows.jsonl line 8 is not JSON"),
    (as_jsonl(TEXTS) + '{"text_": "a"}\n', "rows.jsonl line 8 has no column 'sentence', only 'text_'"),
    (as_jsonl(TEXTS) + "[1]\n", "rows.jsonl line 8"),
    ("", "rows.jsonl is empty"),
])  # fmt: skip
def test_a_bad_row_leaves_what_stood_there(content, message, classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    (tmp_path / "out.jsonl").write_text("before\n")
    words = (classifier("single"), str(tmp_path / "rows.jsonl"))
    run = lambda target: predict_file(*words, str(tmp_path / target), strict=True)  # noqa: E731
    assert message in complaint(lambda: run("out.jsonl"))
    assert message in complaint(lambda: run("new.jsonl"))
    assert (tmp_path / "out.jsonl").read_text() == "before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "standard input is empty"),
    (b'{"sentence": "a"}\n{"sentence"\n', "standard input line 2 is not JSON"),
    (b'{"sentence": "a"}\n[]\n', "standard input line 2 is a JSON array, not an object: write one object a line"),
    (b'{"sentence": "a", "sentence": "b"}\n', "standard input line 1 gives the key 'sentence' twice: keep one of them"),
    (b'{"sentence": null}\n', "column 'sentence' of standard input line 1 is empty (null), not text"),
    (b'{"sentence": "a"}\n\n{"x": "a"}\n', "standard input line 3 has no column 'sentence', only 'x'"),
    (b"a\nb\xff\n", "standard input is not UTF-8 (line 2, byte 2 of it): recode it, as iconv -f LATIN1 -t UTF-8 does"),
    (b'{"sentence": "caf\xe9"}\n', "standard input is not UTF-8 (line 1, byte 18 of it): recode it"),
])  # fmt: skip
@pytest.mark.parametrize("locale", [{"encoding": "utf-8"}, {"encoding": "utf-8", "errors": "surrogateescape"},
                                    {"encoding": "latin-1"}])  # fmt: skip
def test_bad_standard_input(content, message, locale, classifier, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), **locale))
    assert complaint(lambda: predict_file(classifier("single"), "-", None, strict=True)).startswith(message)


@pytest.mark.parametrize("write", [as_jsonl, as_lines])
def test_a_byte_order_mark_of_standard_input_is_not_content(write, classifier, expected, monkeypatch, capsys):
    content = ("\ufeff" + write(["naïve café 🎉"])).encode()
    for stdin in (io.TextIOWrapper(io.BytesIO(content), encoding="latin-1"), io.StringIO(content.decode())):
        monkeypatch.setattr(sys, "stdin", stdin)
        predict_file(classifier("single"), "-", None)
        assert json.loads(capsys.readouterr().out)["label"] == expected["naïve café 🎉"]


@pytest.mark.parametrize(("stdin", "message"), [
    (None, "standard input is empty"),
    ("caf\ud800\n", "standard input is not UTF-8 (line 1, byte 4 of it)"),
])  # fmt: skip
def test_standard_input_that_is_closed_or_text(stdin, message, classifier, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin and io.StringIO(stdin))
    assert complaint(lambda: predict_file(classifier("single"), "-", None, strict=True)).startswith(message)


def test_no_folder_is_left_where_no_answer_was_written(classifier, tmp_path):
    target = tmp_path / "new" / "deep" / "out.jsonl"
    message = complaint(lambda: predict_file(classifier("single"), str(tmp_path / "none.jsonl"), str(target)))
    assert message.endswith("none.jsonl does not exist: correct the path")
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written(classifier, tmp_path):
    (tmp_path / "rows.txt").write_text("a\n")
    target = tmp_path / "rows.txt" / "out.jsonl"
    message = complaint(lambda: predict_file(classifier("single"), str(tmp_path / "rows.txt"), str(target)))
    assert message.startswith(f"{target} cannot be written")


def test_a_file_that_is_not_there(classifier, tmp_path):
    for name in ("none.jsonl", "none.txt"):
        path = tmp_path / name
        assert complaint(lambda path=path: predict_file(classifier("single"), str(path), None)) == (
            f"file {path} does not exist: correct the path"
        )


def test_parquet_is_not_written_to_a_pipe(classifier, tmp_path):
    (tmp_path / "rows.txt").write_text("a\n")
    os.mkfifo(tmp_path / "pipe.parquet")
    end = os.open(tmp_path / "pipe.parquet", os.O_RDONLY | os.O_NONBLOCK)  # else who writes to it would wait
    message = complaint(
        lambda: predict_file(classifier("single"), str(tmp_path / "rows.txt"), str(tmp_path / "pipe.parquet"))
    )
    assert message == (
        f"output {tmp_path / 'pipe.parquet'} is there and no file, and Parquet is written to files alone: name another"
    )
    assert os.read(end, 1) == b""
    os.close(end)
