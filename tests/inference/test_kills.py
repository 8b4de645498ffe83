"""A prediction that is killed, at whatever moment, ends as if it had not been: no row lost, doubled or moved.

The processes that are killed are forked from a server that has imported this file and has no threads, since a lock that
another thread holds when a process is forked is held in the child for ever.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lightning_clf.artefact import load_artefact
from lightning_clf.inference import draft, files, predict_file
from lightning_clf.inference.writers import Parquet
from tests.inference.echo import Echo

pytestmark = pytest.mark.process
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
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


AT_ANY_MOMENT = "at any moment"


def child(folder: Path, source: Path, target: Path, moment: str | None, ready: Connection) -> None:
    """Predict as the tests do, and be killed at a moment, if one is named."""
    files._CHUNK, draft._SECONDS = CHUNK, 0
    model = Echo(load_artefact(folder))
    if moment == AT_ANY_MOMENT:
        model.before = lambda: time.sleep(0.01)
    elif moment is not None:
        (NAMED | OF_PARQUET)[moment]()
    warnings.simplefilter("ignore")
    ready.send(True)
    predict_file(model, str(source), str(target), resume=True)


def predicted(folder, source, target, moment=None, seconds=None) -> int:
    """Predict in a process of its own, killed after so many seconds; its exit code, negative if killed."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=child, args=(folder, source, target, moment, theirs))
    process.start()
    theirs.close()
    with contextlib.suppress(EOFError):  # of one that was killed before it closed its end
        ours.recv()
    if seconds is not None:
        time.sleep(seconds)
        process.kill()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


@pytest.fixture
def job(classifier, tmp_path, monkeypatch):
    """A classifier, a file with a bad row in every hundred, and what comes of it by suffix."""
    monkeypatch.setattr(files, "_CHUNK", CHUNK)
    monkeypatch.setattr(draft, "_SECONDS", 0)
    model = Echo(classifier("single").artefact)
    model.artefact.save(tmp_path / "model")
    (tmp_path / "rows").mkdir()
    lines = [json.dumps({"sentence": f'text "{number}",', "id": number}) for number in range(COUNT)]
    for number in range(50, COUNT, 100):
        lines[number] = "{"
    source = tmp_path / "rows" / "rows.jsonl"
    source.write_text("\n".join(lines))
    return model, tmp_path / "model", source


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
    model, folder, source = job
    target = source.with_name(f"out.{suffix}")
    whole = uninterrupted(model, source, target)
    assert predicted(folder, source, target, moment) == -signal.SIGKILL
    assert target.exists() == (moment == "when all have their names")
    assert predicted(folder, source, target) == 0
    assert results(target) == whole
    assert sorted(path.name for path in source.parent.iterdir()) == sorted(
        [source.name, target.name, f"{target.name}.rejected.jsonl"]
    )


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_killed_again_and_again_at_any_moment(suffix, job):
    model, folder, source = job
    target = source.with_name(f"out.{suffix}")
    whole = uninterrupted(model, source, target)
    draw, kills = random.Random(suffix), 0
    while kills < MOMENTS and not target.exists():
        kills += predicted(folder, source, target, AT_ANY_MOMENT, draw.uniform(0.02, 0.15)) == -signal.SIGKILL
    assert kills > 2
    assert predicted(folder, source, target) == 0
    assert results(target) == whole
