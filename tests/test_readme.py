"""What the README shows is run as it stands there, with a tiny encoder in the place of the named one."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from lightning_clf.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
REVIEWS = [("a great joy", "good"), ("dull and lifeless", "bad"), ("so happy", "good"), ("angry and sad", "bad")] * 3


def block(language: str, start: str) -> str:
    """The README's one code block that starts so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if text.startswith(start))


@pytest.fixture
def folder(tmp_path: Path, encoders, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the README's files and data to train on."""
    (tmp_path / "parts.py").write_text(block("python", "# parts.py"))
    own = block("yaml", "# mine.yaml").replace("google-bert/bert-base-uncased", str(encoders("bert")))
    (tmp_path / "mine.yaml").write_text(own.replace("source: reviews", "source: reviews, max_length: 32"))
    (tmp_path / "reviews").mkdir()
    rows = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in REVIEWS)
    for split in ("train", "dev", "test"):
        (tmp_path / "reviews" / f"{split}.jsonl").write_text(rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("parts", None)


def test_own_parts_take_fewer_than_25_lines():
    code = [line for line in block("python", "# parts.py").splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) < 25


def test_own_parts_are_trained_tested_and_used_from_yaml(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", "mine.yaml", "--trainer.max_epochs=1", "--trainer.default_root_dir=run"]) == 0
    assert main(["test", "--ckpt_path", "run/best.ckpt"]) == 0
    reported = json.loads((folder / "run" / "test_metrics.json").read_text())
    assert reported["test/accuracy"] in {hits / 12 for hits in (0, 3, 6, 9, 12)}
    capsys.readouterr()
    del sys.modules["parts"]  # as in a process that is given the model alone
    assert main(["predict", "--model", "run/best", "--input", "reviews/test.jsonl"]) == 2
    assert "--import parts" in capsys.readouterr().err
    assert main(["predict", "--import", "parts", "--model", "run/best", "--input", "reviews/test.jsonl"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(answer["probabilities"]) for answer in answers] == [{"bad", "good"}] * 12


def test_the_python_example_trains_the_same_parts(folder: Path, encoders):
    code = block("python", "from lightning.pytorch import Trainer")
    code = code.replace("google-bert/bert-base-uncased", str(encoders("bert"))).replace("max_epochs=3", "max_epochs=1")
    code = code.replace('"reviews"', '"reviews", max_length=32')
    sys.path.append(str(folder))
    names: dict[str, object] = {}
    exec(code, names)
    assert names["model"].trainer.state.finished
    assert type(names["model"].network.head).__name__ == "FirstTwoHead"
    assert Path(names["best"].dirpath, "best", "config.json").is_file()
