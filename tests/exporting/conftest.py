"""Untrained models that answer variously, written once, and exports of them that tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_clf.exporting import export
from tests.inference.conftest import COLUMNS, LABELS
from tests.tiny import CORPUS
from tests.training import make_module


def rows_of(name: str) -> list[dict[str, Any]]:
    """Rows without answers for a kind of model, of lengths that the window holds, and one that it cuts."""
    columns = COLUMNS[name]
    texts = [*CORPUS, "Anna", " ".join(CORPUS)]
    if "tokens" in columns:
        return [{columns["tokens"]: text.split()} for text in texts]
    return [
        {column: texts[(n + k) % len(texts)] for k, column in enumerate(columns.values())} for n in range(len(texts))
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def probabilities(answers: list[dict]) -> list[float]:
    """Every number in answers, in their order."""
    numbers = []
    for answer in answers:
        found = answer.get("probabilities", answer.get("score"))
        numbers += found.values() if isinstance(found, dict) else found if isinstance(found, list) else [found]
    return [-1.0 if number is None else number for number in numbers]  # of words no subword speaks for


def assert_same(answers, wanted, within):
    for one, other in zip(answers, wanted, strict=True):
        for key in ("label", "labels", "tags", "entities", "abstained", "label_set"):
            assert one.get(key) == other.get(key)
    for one, other in zip(probabilities(answers), probabilities(wanted), strict=True):
        assert one == pytest.approx(other, abs=within)


@pytest.fixture(scope="session")
def model(encoders, tmp_path_factory) -> Callable[..., str]:
    """The folder of a model of a kind, an architecture and a head."""
    root = tmp_path_factory.mktemp("models")

    def make(name: str, architecture: str = "bert", head: Any = None) -> str:
        folder = root / f"{name}-{architecture}-{head and json.dumps(head.spec()['init_args'])}-{type(head).__name__}"
        if not folder.is_dir():
            encoder = encoders(architecture)  # which is made with a seed of its own
            torch.manual_seed(1)
            options = {} if head is None else {"head": head}
            module = make_module(LABELS[name].kind, encoder, labels=LABELS[name].to_dict(), **options)
            module.max_length, module.columns = 24, COLUMNS[name]
            module.build()
            for weight in module.network.parameters():
                weight.data.mul_(4)
            module.artefact.save(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory) -> Callable[..., tuple[str, str]]:
    """The folder of a model, and that of its export."""
    root = tmp_path_factory.mktemp("exports")

    def make(format: Any, *words: Any) -> tuple[str, str]:
        source = model(*words)
        target = root / f"{Path(source).name}-{format}"
        if not target.is_dir():
            export(source, format, str(target))
        return source, str(target)

    return make
