"""Tiny students, and what they learn of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lightning_clf.distillation import Distillation
from tests.tiny import CORPUS
from tests.training import make_data, make_module, make_trainer

TEMPERATURE, WEIGHT = 2.0, 0.7
UNLABELLED = [{"text": f"{text} again", "text_pair": text, "tokens": [*text.split(), "again"]} for text in CORPUS[:5]]


def student(kind: str, encoder: Path, teachers: str | list[str], model: Any = None, **options: Any) -> Any:
    """A module with these teachers."""
    torch.manual_seed(0)
    given = {"temperature": TEMPERATURE, "weight": WEIGHT, **options}
    return make_module(kind, encoder, distillation=Distillation(teachers, **given), **(model or {}))


def fit(folder: Path, module: Any, kind: str, trainer: Any = None, **data: Any) -> float:
    """One step over all rows; the loss of it."""
    trainer = make_trainer(folder, **{"max_steps": 1, **(trainer or {})})
    trainer.fit(module, make_data(kind, **{"batch_size": 64, "cache_dir": folder / "cache", **data}))
    return trainer.callback_metrics["train/loss"].item()
