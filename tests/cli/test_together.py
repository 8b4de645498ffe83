"""The commands and a folder of several tasks: `predict` answers all, those that are about one say which to give."""

from __future__ import annotations

import json

import pytest

from tests.inference.conftest import classifier  # noqa: F401 (a fixture)
from tests.several_tasks import untrained
from tests.tiny import CORPUS


@pytest.fixture
def folder(classifier, tmp_path):  # noqa: F811
    untrained(classifier, "single", "tags").save(tmp_path / "best")
    (tmp_path / "rows.txt").write_text(f"{CORPUS[0]}\n{CORPUS[2]}\n")
    return tmp_path


def test_predict_answers_all_tasks(command, folder):
    words = ("--input", folder / "rows.txt", "--model")
    code, out, err = command("predict", *words, folder / "best")
    assert (code, err) == (0, "")
    for line, task in ((line, task) for line in enumerate(out.splitlines()) for task in ("single", "tags")):
        number, answer = line
        alone = command("predict", *words, folder / "best" / task).out.splitlines()[number]
        key = {"single": "label", "tags": "tags"}[task]
        assert json.loads(answer)[task][key] == json.loads(alone)[key]
    pretty = command("predict", "--pretty", *words, folder / "best").out.splitlines()
    assert len(pretty) == 2
    assert all(line.startswith("single: ") and "; tags: " in line for line in pretty)


@pytest.mark.parametrize(
    "words",
    [
        ["calibrate", "--input", "rows.jsonl", "--output", "new"],
        ["report", "--input", "rows.jsonl", "--output", "page.html"],
        ["export", "--output", "new", "--format", "onnx"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_about_one_task_says_which_to_give(command, folder, words, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "rows.jsonl").write_text('{"text": "a", "label": "good"}\n')
    code, out, err = command(*words, "--model", "best")
    assert (code, out) == (2, "")
    assert err == "error: folder best is of several tasks (single, tags): give the export of one, such as best/single\n"
    assert not (folder / "new").exists()
