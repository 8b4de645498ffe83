"""A run goes on from its draft, for the same work only, and leaves none where there is nothing to keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings

import pytest

from lightning_clf.inference import Classifier, draft, files, load_classifier, predict_file
from tests.inference.echo import Echo
from tests.training import complaint

DRAFT = ".out.jsonl.partial"


@pytest.fixture(autouse=True)
def chunk(monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 4)
    monkeypatch.setattr(draft, "_SECONDS", 0)


@pytest.fixture
def echo(classifier):
    return Echo(classifier("single").artefact)


@pytest.fixture
def rows(tmp_path):
    """Eleven rows and, in the fifth line, none."""
    lines = [json.dumps({"sentence": f"text {number}"}) for number in range(11)]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:4], "{", *lines[4:]]))
    return tmp_path / "rows.jsonl"


def predict(model, source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return predict_file(model, str(source), str(source.with_name("out.jsonl")), **options)


def stop_in_chunk(model, number, error=KeyboardInterrupt):
    """Have a classifier raise in the chunk of this number."""
    calls = iter(range(1, 99))

    def before():
        if next(calls) == number:
            raise error

    model.before = before


def stopped(model, rows, number=3, **options):
    stop_in_chunk(model, number)
    with pytest.raises(KeyboardInterrupt):
        predict(model, rows, **options)
    model.before = lambda: None


def results(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "rows.jsonl"}


def test_a_run_goes_on_where_it_was_stopped(echo, rows):
    assert predict(echo, rows) == 11
    whole = results(rows.parent)
    for name in whole:
        (rows.parent / name).unlink()
    stopped(echo, rows, 2)
    assert set(results_names(rows.parent)) == {"rows.jsonl", DRAFT}
    stop_in_chunk(echo, 2)  # of the two that are left
    with pytest.raises(KeyboardInterrupt):
        predict(echo, rows, resume=True)
    stop_in_chunk(echo, 99)
    assert predict(echo, rows, resume=True) == 11
    assert results(rows.parent) == whole
    assert set(whole) == {"out.jsonl", "out.jsonl.rejected.jsonl"}


def results_names(folder):
    return [path.name for path in folder.iterdir()]


def test_only_what_is_left_is_answered(echo, rows):
    stopped(echo, rows)
    calls = []
    echo.before = lambda: calls.append(1)
    predict(echo, rows, resume=True)
    assert len(calls) == 1  # of three


def test_what_was_written_after_the_state_is_cut_off(echo, rows):
    predict(echo, rows)
    whole = results(rows.parent)
    stopped(echo, rows)
    for name in ("answers", "rejected"):
        with (rows.parent / DRAFT / name).open("ab") as file:
            file.write(b'{"half": ')
    predict(echo, rows, resume=True)
    assert results(rows.parent) == whole


def test_without_a_draft_it_is_begun_and_without_resume_begun_anew(echo, rows):
    assert predict(echo, rows, resume=True) == 11
    whole = results(rows.parent)
    stopped(echo, rows)
    calls = []
    echo.before = lambda: calls.append(1)
    predict(echo, rows)
    assert len(calls) == 3
    assert results(rows.parent) == whole


def test_a_run_stopped_before_its_first_chunk_leaves_nothing(echo, rows):
    stopped(echo, rows, 1)
    assert results_names(rows.parent) == ["rows.jsonl"]


def test_a_state_is_written_now_and_then(echo, rows, monkeypatch):
    monkeypatch.setattr(draft, "_SECONDS", 10)
    clock = iter(range(0, 99, 6))
    monkeypatch.setattr(draft.time, "monotonic", lambda: next(clock))
    stopped(echo, rows)
    assert json.loads((rows.parent / DRAFT / "state.json").read_bytes())["tally"]["taken"] == 8


def test_a_strict_run_ended_by_a_row_leaves_nothing(echo, rows):
    assert "line 5 is not JSON" in complaint(lambda: predict(echo, rows, strict=True))
    assert results_names(rows.parent) == ["rows.jsonl"]


@pytest.mark.parametrize(("options", "said"), [
    ({"carry": []}, "had another carry (null, now [])"),
    ({"strict": True}, "had another strict (false, now true)"),
    ({"shard": (1, 2)}, "had another shard (null, now [1, 2])"),
    ({"show": str}, 'had another form ("JsonLines", now "TextWriter")'),
])  # fmt: skip
def test_other_options_are_refused(options, said, echo, rows):
    stopped(echo, rows)
    message = complaint(lambda: predict(echo, rows, resume=True, **options))
    folder = rows.parent / DRAFT
    assert message == f"the run that {folder} is of {said}: give it as it was, or start anew without --resume"
    assert predict(echo, rows, resume=True, batch_size=7) == 11  # it is still there, and how fast it goes is free


def test_another_input_model_or_column_is_refused(echo, rows, tmp_path):
    echo.artefact.save(tmp_path / "model")
    stopped(echo, rows)
    content = rows.read_text()
    rows.write_text(content.replace("text 10", "text 19"))
    assert "had another input: give it as it was" in complaint(lambda: predict(echo, rows, resume=True))
    rows.write_text(content)
    other = Echo(load_classifier(tmp_path / "model").artefact)
    next(other.network.parameters()).data.view(-1)[0] += 1
    assert "had another model: give it as it was" in complaint(lambda: predict(other, rows, resume=True))
    other = Classifier(echo.artefact, {"text": "more"})
    assert "had another columns" in complaint(lambda: predict(other, rows, resume=True))
    assert predict(echo, rows, resume=True) == 11


@pytest.mark.parametrize("content", ["{", "[]", '{"job": {}}', '{"job": 1, "tally": {"x": 1}, "lengths": []}'])
def test_a_state_that_says_nothing(content, echo, rows):
    stopped(echo, rows)
    (rows.parent / DRAFT / "state.json").write_text(content)
    message = complaint(lambda: predict(echo, rows, resume=True))
    assert "state.json does not say where the run stopped" in message
    assert message.endswith("start anew without --resume")


@pytest.mark.parametrize("name", ["answers", "rejected"])
def test_a_draft_that_is_shorter_than_its_state_says(name, echo, rows):
    stopped(echo, rows)
    with (rows.parent / DRAFT / name).open("r+b") as file:
        file.truncate(3)
    assert f"{name} is shorter than it was" in complaint(lambda: predict(echo, rows, resume=True))


def test_what_has_no_draft_is_not_gone_on_with(echo, rows, monkeypatch):
    said = "only a file is gone on with, not what is handed on: give --output, or leave out --resume"
    assert complaint(lambda: predict_file(echo, str(rows), None, resume=True)) == said
    monkeypatch.setattr(sys, "stdin", rows.open())
    message = complaint(lambda: predict_file(echo, "-", str(rows.with_name("out.jsonl")), resume=True))
    assert message.startswith("standard input cannot be read from where a run stopped: save it to a file")
    assert results_names(rows.parent) == ["rows.jsonl"]


def test_standard_input_in_several_chunks(echo, rows, monkeypatch):
    predict(echo, rows, carry=[])
    whole = results(rows.parent)
    monkeypatch.setattr(sys, "stdin", rows.open())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert predict_file(echo, "-", str(rows.with_name("out.jsonl")), carry=[]) == 11
    assert results(rows.parent)["out.jsonl"] == whole["out.jsonl"]


@pytest.mark.process
def test_two_processes_do_not_write_one_file(echo, rows):
    hold = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], 0), fcntl.LOCK_EX); print(flush=True); input()"
    (rows.parent / DRAFT).mkdir()
    words = [sys.executable, "-c", hold, str(rows.parent / DRAFT)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        message = complaint(lambda: predict(echo, rows))
        assert message.startswith(f"another process is writing {rows.with_name('out.jsonl')}: wait for it")
        assert (rows.parent / DRAFT).is_dir()
        other.communicate(b"\n")
    assert predict(echo, rows) == 11  # the lock went with the process, the folder stayed
    assert not (rows.parent / DRAFT).exists()


def test_a_full_disk_is_no_reason_to_lose_what_is_answered(echo, rows, monkeypatch):
    predict(echo, rows)
    whole = results(rows.parent)
    synced, calls = os.fsync, iter(range(99))

    def full(file):
        if next(calls) >= 4:
            raise OSError(28, "No space left on device")
        return synced(file)

    monkeypatch.setattr(os, "fsync", full)
    message = complaint(lambda: predict(echo, rows))
    assert "out.jsonl cannot be written (No space left on device): choose another place" in message
    monkeypatch.setattr(os, "fsync", synced)
    assert predict(echo, rows, resume=True) == 11
    assert results(rows.parent) == whole
