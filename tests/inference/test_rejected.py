"""Rows that cannot be answered: set aside, told, or the end of it."""

from __future__ import annotations

import json
import os
import stat
import warnings

import pytest

from lightning_clf.inference import files, predict_file
from tests.inference.echo import ROWS, expected, read_jsonl, write_jsonl
from tests.training import complaint


@pytest.mark.parametrize("rejected", [None, "bad.jsonl"])
def test_bad_rows_of_a_stream_are_told_or_kept(rejected, echo, tmp_path, capsys):
    content = "".join(json.dumps(row) + "\n" for row in ROWS[:3]) + "{\n" * 30
    (tmp_path / "rows.jsonl").write_text(content)
    kept = rejected and str(tmp_path / rejected)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert predict_file(echo, str(tmp_path / "rows.jsonl"), None, rejected=kept) == 3
    said = [str(one.message) for one in told]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected(echo, ROWS[:3])
    assert "30 of 33 rows are" in said[-1]
    if rejected is None:
        assert "left out; --rejected FILE keeps them" in said[-1]
        assert len(said) == 11
        assert "left out:" in said[0]
        assert "line 4 is not JSON" in said[0]
    else:
        assert len(said) == 1
        assert [row["line"] for row in read_jsonl(tmp_path / rejected)] == list(range(4, 34))


@pytest.mark.parametrize("rows", [[{"sentence": "a"}], [{"sentence": "a"}, {}]])
@pytest.mark.parametrize("target", [None, "out.jsonl"])
def test_bad_rows_go_into_a_pipe_that_stays_one(target, rows, echo, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", rows)
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predict_file(
            echo, str(tmp_path / "rows.jsonl"), target and str(tmp_path / target), rejected=str(tmp_path / "pipe")
        )
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [json.loads(line)["line"] for line in os.read(end, 10_000).splitlines()] == [2] * (len(rows) - 1)
    os.close(end)


def test_bad_rows_do_not_go_where_answers_go(echo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    message = complaint(lambda: predict_file(echo, "rows.jsonl", "out.jsonl", rejected="./out.jsonl"))
    assert message == "--rejected ./out.jsonl is the file of the answers, out.jsonl: give another"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_place_for_bad_rows_that_cannot_be_written(echo, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    place = str(tmp_path / "rows.jsonl" / "bad.jsonl")
    message = complaint(lambda: predict_file(echo, str(tmp_path / "rows.jsonl"), None, rejected=place))
    assert message.startswith(f"{place} cannot be written (")


@pytest.mark.parametrize("target", [None, "out.jsonl"])
def test_a_file_of_bad_rows_alone_is_refused(target, echo, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    write_jsonl(tmp_path / "rows.jsonl", [{"txt": "a"}] * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = complaint(lambda: predict_file(echo, str(tmp_path / "rows.jsonl"), target and str(tmp_path / target)))
    assert "none of 5 rows can be answered; the first:" in message
    assert "line 1 has no column 'sentence', only 'txt'" in message
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_what_can_be_no_file_of_bad_rows_is_refused_before_anything_is_answered(echo, tmp_path):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    for rejected, said in (
        ("-", "--rejected - is no file, and"),
        (str(tmp_path), f"--rejected {tmp_path} is a folder"),
    ):
        message = complaint(
            lambda rejected=rejected: predict_file(echo, str(source), str(tmp_path / "out.jsonl"), rejected=rejected)
        )
        assert message.startswith(said)
        assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
