"""`predict` that follows a cascade, killed twice, ends as if it had not been, and pays for nothing twice.

The test runs this file as a script, which is the process that is killed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_clf.artefact import load_artefact
from lightning_clf.cascade import Cascade, Curve
from lightning_clf.cli import main
from lightning_clf.decision import Decision
from lightning_clf.inference import Classifier, draft, files
from tests.inference.conftest import classifier  # noqa: F401 (a fixture)
from tests.inference.echo import read_jsonl, write_jsonl
from tests.language_models.server import Fault, Server, served
from tests.processes import ROOT
from tests.tiny import CORPUS

pytestmark = pytest.mark.process
COUNT, CHUNK, CONCURRENCY = 60, 10, 3


def respond(body):
    """A label that follows from the text."""
    return json.dumps({"label": ("bad", "fine", "good")[len(body["messages"][-1]["content"]) % 3]})


@pytest.fixture
def job(classifier, tmp_path):  # noqa: F811
    """A model that asks about half of some rows, the rows, and of how many it asks."""
    classifier("single").artefact.save(tmp_path / "raw")
    artefact = load_artefact(tmp_path / "raw")
    rows = [{"sentence": f"{CORPUS[number % len(CORPUS)]} {number}"} for number in range(COUNT)]
    sure = sorted(answer["probability"] for answer in Classifier(artefact).predict(rows))
    middle = sure[COUNT // 2]
    cascade = Cascade(middle, "http://h/v1", "stub", "Say it.", 0.1, 1, Curve((middle,), (0.5,), (0.5,)))
    artefact.network.set_decision(Decision(cascade=cascade))
    artefact.save(tmp_path / "model")
    return tmp_path / "model", write_jsonl(tmp_path / "rows.jsonl", rows), sum(value <= middle for value in sure)


def predicted(model: Path, source: Path, folder: Path, server: Server, after: int | None = None) -> int:
    """Predict in a process of its own, killed once so many more requests have come; its code, negative if killed."""
    words = ["predict", "--model", model, "--input", source, "--output", folder / "answers.jsonl", "--endpoint",
             server.url, "--replies", folder / "kept.jsonl", "--concurrency", CONCURRENCY, "--resume"]  # fmt: skip
    wanted = None if after is None else len(server.requests) + after
    command = [sys.executable, "-m", "tests.cli.test_cascade_kills", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as child:
        while wanted is not None and len(server.requests) < wanted and child.poll() is None:
            time.sleep(0.001)
        if wanted is not None:
            child.kill()
        return child.wait(timeout=240)


def test_killed_twice_and_gone_on_with(job, tmp_path):
    model, source, asked = job
    with served(respond) as server:
        assert predicted(model, source, tmp_path / "whole", server) == 0
        assert sorted(server.charged.values()) == [1] * asked
    assert CHUNK < asked < COUNT
    whole = (tmp_path / "whole" / "answers.jsonl").read_bytes()
    answers = read_jsonl(tmp_path / "whole" / "answers.jsonl")
    assert [answer["answered_by"] for answer in answers].count("language_model") == asked

    folder = tmp_path / "killed"
    with served(respond, [Fault(delay=0.03)] * 2 * COUNT) as server:
        assert predicted(model, source, folder, server, after=2) == -signal.SIGKILL
        assert predicted(model, source, folder, server, after=asked // 2) == -signal.SIGKILL
        assert not (folder / "answers.jsonl").exists()
        begun = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "kept.jsonl"]
        assert max(begun) > 0  # a chunk was written
        with (folder / "kept.jsonl").open("ab") as file:
            file.write(b'{"request": "0')  # as if it had been killed within a line
        assert predicted(model, source, folder, server) == 0
        assert sorted(server.charged.values()) == [1] * asked
        # only what was out at a kill went out again
        assert asked <= len(server.requests) <= asked + 2 * CONCURRENCY
        paid = [line["request"] for line in read_jsonl(folder / "kept.jsonl")]
    assert len(paid) == len(set(paid)) == asked
    assert (folder / "answers.jsonl").read_bytes() == whole
    assert sorted(path.name for path in folder.iterdir()) == ["answers.jsonl", "kept.jsonl"]


if __name__ == "__main__":
    files._CHUNK, draft._SECONDS = CHUNK, 0
    sys.exit(main(sys.argv[1:]))
