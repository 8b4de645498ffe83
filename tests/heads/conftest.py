"""Batches made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lightning_clf.batch import Batch

HIDDEN = 4


@pytest.fixture
def config() -> Any:
    """As much of an encoder's configuration as our own heads read."""
    return SimpleNamespace(hidden_size=HIDDEN)


@pytest.fixture
def hidden() -> torch.Tensor:
    """Hidden states `[3,6,4]`, of both signs everywhere."""
    return torch.randn(3, 6, HIDDEN, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def batch() -> Batch:
    """Three examples of 6, 4 and 2 tokens.

    Of the words the first example has four, the second without a subword; the second example has three, the last of
    which the window cut off; the third has none.
    """
    lengths = torch.tensor([6, 4, 2])
    word_ids = torch.tensor([[-1, 0, 0, 2, 3, -1], [-1, 0, 1, -1, -1, -1], [-1, -1, -1, -1, -1, -1]])
    return Batch(
        inputs={
            "input_ids": torch.ones(3, 6, dtype=torch.long),
            "attention_mask": (torch.arange(6) < lengths[:, None]).long(),
        },
        example_ids=torch.arange(3),
        window_to_example=torch.arange(3),
        word_ids=word_ids,
        first_subword=torch.tensor([[1, -1, 3, 4], [7, 8, -1, -1], [-1, -1, -1, -1]]),
        word_counts=torch.tensor([4, 3, 0]),
    )
