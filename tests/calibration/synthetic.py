"""Logits whose right answers are drawn from probabilities that are known."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.cascade import Cascade, Curve


def of_one(rows: int, classes: int = 4, sharpness: float = 2.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits `[N,C]` as many times too sharp, and the right class of each row, drawn from what they should be."""
    generator = torch.Generator().manual_seed(seed)
    honest = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(honest.softmax(1), 1, generator=generator).squeeze(1)
    return sharpness * honest, targets


def of_many(rows: int, classes: int = 3, sharpness: float = 2.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The same where any number of labels may be right: targets are bool `[N,C]`."""
    generator = torch.Generator().manual_seed(seed)
    honest = 1.5 * torch.randn(rows, classes, generator=generator, dtype=torch.float64) - 1
    targets = torch.rand(rows, classes, generator=generator, dtype=torch.float64) < honest.sigmoid()
    return sharpness * honest, targets


CASCADE = Cascade(
    0.5, "http://127.0.0.1:1/v1", "a model", "Say what it is.", 0.002, 0.1, Curve((0.0, 0.5), (0.0, 0.25), (0.2, 0.1))
)
