"""A prediction that is killed, at whatever moment, ends as if it had not been: no row lost, doubled or moved."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lightning_clf.inference import draft, files, predict_file
from lightning_clf.inference.writers import Parquet
from tests.inference.echo import Echo

pytestmark = pytest.mark.process
COUNT, CHUNK, MOMENTS = 1000, 40, 10  # moments are drawn at random, beside those named below


def kill(*arguments, **options) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner, name, number):
    """Killed in the call of this number of a function, before it does anything."""
    original, calls = getattr(owner, name), iter(range(1, 10_000))

    def counting(*arguments, **options):
        if next(calls) == number:
            kill()
        return original(*arguments, **options)

    setattr(owner, name, counting)


def in_an_append(number):
    """Killed when half of a chunk is written, and no state of it."""
    original, calls = draft.Draft.append, iter(range(1, 10_000))

    def append(self, answers, rejected, is_last):
        if next(calls) == number:
            self._files[0].write(answers[: len(answers) // 2])
            self._files[0].flush()
            kill()
        original(self, answers, rejected, is_last)

    draft.Draft.append = append


NAMED = {
    "before anything is complete": lambda: in_an_append(1),
    "in the second chunk": lambda: in_an_append(2),
    "in the last chunk": lambda: in_an_append(COUNT // CHUNK),
    "before the disk has a chunk": lambda: at_call(os, "fsync", 10),
    "between a chunk and its state": lambda: at_call(draft, "write_bytes_atomically", 6),
    "between a state and its name": lambda: at_call(Path, "replace", 7),
    "after the last chunk": lambda: at_call(draft.Draft, "publish", 1),
    "before the answers have their name": lambda: at_call(draft.Draft, "_publish_rejected", 1),
    "when all have their names": lambda: at_call(draft.shutil, "rmtree", 2),  # the first is of the tokenizer
}
OF_PARQUET = {
    "before the rows are grouped": lambda: at_call(Parquet, "finish", 1),
    "when half of them are": lambda: at_call(pq.ParquetWriter, "write_table", 3),
}


def forked(model, source, target, prepare, seconds=None) -> int:
    """Predict in a process of its own, killed after so many seconds; its exit code, negative if killed."""
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # a child that hangs is no test that hangs
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            prepare()
            warnings.simplefilter("ignore")
            try:
                predict_file(model, str(source), str(target), resume=True)
            except BaseException:
                os._exit(1)
            os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def job(classifier, tmp_path, monkeypatch):
    """A classifier, a file with a bad row in every hundred, and what comes of it by suffix."""
    monkeypatch.setattr(files, "_CHUNK", CHUNK)
    monkeypatch.setattr(draft, "_SECONDS", 0)
    model = Echo(classifier("single").artefact)
    lines = [json.dumps({"sentence": f'text "{number}",', "id": number}) for number in range(COUNT)]
    for number in range(50, COUNT, 100):
        lines[number] = "{"
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(lines))
    return model, source


def results(target):
    """The file and the rows set aside, byte for byte, and of Parquet also what is in it."""
    found = [target.read_bytes(), target.with_name(f"{target.name}.rejected.jsonl").read_bytes()]
    return [*found, pq.read_table(target).to_pylist()] if target.suffix == ".parquet" else found


def uninterrupted(model, source, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert predict_file(model, str(source), str(target)) == COUNT - COUNT // 100
    found = results(target)
    target.unlink()
    target.with_name(f"{target.name}.rejected.jsonl").unlink()
    return found


@pytest.mark.parametrize(
    ("suffix", "moment"),
    [
        *((suffix, moment) for suffix in ("jsonl", "csv", "parquet") for moment in NAMED),
        *(("parquet", moment) for moment in OF_PARQUET),
    ],
)
def test_killed_at_a_named_moment(suffix, moment, job):
    model, source = job
    target = source.with_name(f"out.{suffix}")
    whole = uninterrupted(model, source, target)
    assert forked(model, source, target, (NAMED | OF_PARQUET)[moment]) == -signal.SIGKILL
    assert target.exists() == (moment == "when all have their names")
    assert forked(model, source, target, lambda: None) == 0
    assert results(target) == whole
    assert sorted(path.name for path in source.parent.iterdir()) == sorted(
        [source.name, target.name, f"{target.name}.rejected.jsonl"]
    )


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_killed_again_and_again_at_any_moment(suffix, job):
    model, source = job
    target = source.with_name(f"out.{suffix}")
    whole = uninterrupted(model, source, target)
    draw, kills = random.Random(suffix), 0

    def slow():
        model.before = lambda: time.sleep(0.01)

    while kills < MOMENTS and not target.exists():
        kills += forked(model, source, target, slow, draw.uniform(0.02, 0.15)) == -signal.SIGKILL
    assert kills > 2
    assert forked(model, source, target, lambda: None) == 0
    assert results(target) == whole
