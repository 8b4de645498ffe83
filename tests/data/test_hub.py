"""The hub is asked once, before a client that asks it for a minute."""

from __future__ import annotations

from typing import Any

import datasets
import pytest
from datasets import Dataset, DatasetDict
from huggingface_hub.errors import RepositoryNotFoundError

from lightning_clf.data import hub

from .conftest import complaint


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each load was one of the local cache alone."""
    seen: list[bool] = []

    def load(*_: Any, **__: Any) -> DatasetDict:
        seen.append(datasets.config.HF_HUB_OFFLINE)
        return DatasetDict(train=Dataset.from_dict({"text": ["a"]}))

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return seen


@pytest.mark.parametrize(
    ("error", "is_offline"),
    [(None, False), (RepositoryNotFoundError, False), (OSError, True), (TimeoutError, True)],
)
def test_where_the_hub_does_not_answer_the_cache_is_all_there_is(
    error: type[Exception] | None, is_offline: bool, loads: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(url: str) -> None:
        asked.append(url)
        if error is not None:
            raise error.__new__(error)

    monkeypatch.setattr(hub, "get_hf_file_metadata", answer)
    assert list(hub.load_hub("owner/name", None, "branch")) == ["train"]
    assert loads == [is_offline]
    assert not datasets.config.HF_HUB_OFFLINE
    assert [url.partition("/datasets/")[2] for url in asked] == ["owner/name/resolve/branch/README.md"]


def test_what_is_nowhere_is_told_without_another_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Through the real loader, with a hub that does not answer."""
    asked: list[str] = []

    def answer(url: str) -> None:
        asked.append(url)
        raise TimeoutError

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "get_hf_file_metadata", answer)
    assert complaint(lambda: hub.load_hub("nowhere", None, None)).startswith(
        "data.source 'nowhere' is neither a folder here nor in the local cache, and the hub cannot be reached: "
    )
    assert len(asked) == 1
    assert not caplog.messages
