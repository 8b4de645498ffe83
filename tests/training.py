"""Tiny tasks of every kind, and what it takes to fit one in half a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from lightning_clf import (
    InputError,
    LabelSpace,
    MultiLabelClassifier,
    SequenceDataModule,
    SimilarityRegressor,
    SingleLabelClassifier,
    TokenClassifier,
    TokenDataModule,
)
from lightning_clf.data import BaseDataModule
from lightning_clf.modules import ClassifierModule
from tests.tiny import CORPUS

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
NAMES = ("Anna", "Berg", "Jordan", "Smith")
CITIES = ("Paris", "Berlin", "Oslo")


def tag(words: list[str]) -> list[str]:
    """The tags of a sentence of the tiny corpus, by name lists."""
    tags = []
    for previous, word in zip(["", *words], words, strict=False):
        inside = "I" if previous in NAMES else "B"
        tags.append(f"{inside}-PER" if word in NAMES else "B-LOC" if word in CITIES else "O")
    return tags


ROWS: dict[str, list[dict[str, Any]]] = {
    "single": [{"text": text, "label": ("bad", "fine", "good")[index % 3]} for index, text in enumerate(CORPUS)],
    "multi": [
        {"text": text, "labels": [("joy",), ("joy", "fear"), ()][index % 3]} for index, text in enumerate(CORPUS)
    ],
    "tags": [{"tokens": text.split(), "tags": tag(text.split())} for text in CORPUS],
    "score": [
        {"text": text, "text_pair": CORPUS[index // 2], "score": index % 4 + 0.5} for index, text in enumerate(CORPUS)
    ],
}
ROWS["multi"] = [{**row, "labels": list(row["labels"])} for row in ROWS["multi"]]
LABELS = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
    "score": LabelSpace.score(0, 5),
}
MODULES: dict[str, type[ClassifierModule]] = {
    "single": SingleLabelClassifier,
    "multi": MultiLabelClassifier,
    "tags": TokenClassifier,
    "score": SimilarityRegressor,
}


def make_data(kind: str, rows: list[dict[str, Any]] | None = None, **options: Any) -> BaseDataModule[Any]:
    """A datamodule whose three splits are the same rows."""
    rows = rows or ROWS[kind]
    options = {"source": dict.fromkeys(("train", "val", "test"), rows), "max_length": 32, "batch_size": 4, **options}
    if kind == "tags":
        return TokenDataModule(**options)
    if kind == "score":
        options = {"score_range": (0.0, 5.0), "text_pair_column": "text_pair", **options}
    return SequenceDataModule(kind=kind, **options)


def make_module(kind: str, encoder: Path, **options: Any) -> Any:
    """The module of a kind."""
    return MODULES[kind](str(encoder), **options)


def make_trainer(folder: Path, **options: Any) -> Trainer:
    """A quiet Trainer for the CPU, of one epoch, without files."""
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", default_root_dir=folder, **{"max_epochs": 1, **quiet, **options})


def complaint(function: Callable[[], Any]) -> str:
    """The one line an input error says."""
    try:
        function()
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        return message
    raise AssertionError("no InputError was raised")


def assert_same_answers(answers: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """The same answers, numbers to the sixth digit, in which a rounding of the last bit may show."""
    assert len(answers) == len(wanted)
    for answer, expected in zip(answers, wanted, strict=True):
        assert answer.keys() == expected.keys()
        for key, value in expected.items():
            numbers = key in ("probability", "probabilities", "score")
            assert answer[key] == (pytest.approx(value, abs=1.5e-6) if numbers else value), key


def assert_near(found: Any, wanted: Any, within: float) -> None:
    """The same lists and mappings, but for numbers, which are near each other."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        found, wanted = list(found.values()), list(wanted.values())
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_near(one, other, within)
    else:
        assert found == (pytest.approx(wanted, abs=within, nan_ok=True) if isinstance(wanted, float) else wanted)
