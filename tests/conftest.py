"""Fixtures every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# before anything of Hugging Face is imported, which reads them once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of encoded data that is the test run's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_CLF_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny encoders by architecture, each made once."""
    from tests.tiny import save_encoder

    root = tmp_path_factory.mktemp("encoders")

    def encoder(architecture: str) -> Path:
        folder = root / architecture
        return folder if folder.is_dir() else save_encoder(architecture, folder)

    return encoder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real corpora."""
    return Path(os.environ["LIGHTNING_CLF_DATA"])
