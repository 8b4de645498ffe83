"""A run that is killed, at whatever moment, goes on as if it had not been, and pays for nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.language_models.conftest import respond
from tests.language_models.server import Fault, served
from tests.language_models.test_augment import lines, words

pytestmark = pytest.mark.process
OPTIONS = ("--labels", "spam", "--rows", "60", "--at-once", "2", "--held-out", "test.jsonl", "--resume")


def start(server):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-m", "lightning_clf", *words(server, *OPTIONS)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def killed(server, after):
    """Kill a run once so many requests have come, counted from its first; whether it still ran."""
    wanted = len(server.requests) + after
    run = start(server)
    while len(server.requests) < wanted and run.poll() is None:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    return run.wait() == -signal.SIGKILL


def test_killed_twice_and_gone_on_with(folder):
    with served(respond) as server:
        assert start(server).wait() == 0
    whole = [(row["text"], row["augmented"]["request"]) for row in lines(folder / "added.jsonl")]
    dropped = (folder / "added.jsonl.dropped.jsonl").read_bytes()
    assert len(whole) == 60
    for path in folder.glob("added*"):
        path.unlink()
    with served(respond, [Fault(delay=0.02)] * 99) as server:
        assert killed(server, after=7)
        assert killed(server, after=9)
        assert not (folder / "added.jsonl").exists()
        with (folder / "added.jsonl.replies.jsonl").open("ab") as file:
            file.write(b'{"request": "0')  # as if it had been killed within a line
        run = start(server)
        assert run.wait() == 0, run.stderr.read()
        assert set(server.charged.values()) == {1}
        paid = [json.loads(line)["request"] for line in (folder / "added.jsonl.replies.jsonl").open()]
    assert len(paid) == len(set(paid))
    assert set(paid) == set(server.charged)
    assert [(row["text"], row["augmented"]["request"]) for row in lines(folder / "added.jsonl")] == whole
    assert (folder / "added.jsonl.dropped.jsonl").read_bytes() == dropped
