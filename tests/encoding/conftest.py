"""Tokenizers as taggers load them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend

from lightning_clf.encoding import Tokenizer, load_tokenizer


@pytest.fixture(scope="session")
def taggers(encoders: Callable[[str], Path]) -> Callable[[str], Tokenizer]:
    """Tokenizers for pre-split words by architecture, each loaded once."""
    return cache(lambda architecture: load_tokenizer(str(encoders(architecture)), words=True))


@pytest.fixture(scope="session")
def backends(taggers: Callable[[str], Tokenizer]) -> Callable[[str], Backend]:
    """Their Rust parts alone, with no window: the reference."""

    @cache
    def backend(architecture: str) -> Backend:
        copy = Backend.from_str(taggers(architecture).backend_tokenizer.to_str())
        copy.no_truncation()
        copy.no_padding()
        return copy

    return backend
