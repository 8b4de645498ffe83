"""Pairs with entailment: labels in any case, columns by any of their usual names."""

from __future__ import annotations

import pytest

from lightning_clf.data import NLIDataModule
from tests.data.test_sequence import ready, targets
from tests.training import complaint

ROW = {"text": "a", "text_pair": "b"}


def test_case_of_labels() -> None:
    train = [{**ROW, "label": name} for name in ("NEUTRAL", "Entailment", "contradiction")]
    datamodule = ready(NLIDataModule({"train": train, "dev": train}))
    assert datamodule.labels.names == ("entailment", "neutral", "contradiction")
    assert targets(datamodule) == [1, 0, 2]
    assert datamodule.input_columns == {"text": "text", "text_pair": "text_pair"}


def test_a_pair_is_required() -> None:
    train = [{"text": "a", "label": "neutral"}]
    message = complaint(lambda: NLIDataModule({"train": train}).row_format)
    assert "train has no column 'text_pair' or 'hypothesis' or" in message
    assert "set data.text_pair_column to the one to use" in message


def test_truncation_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    train = [{"text": "a " * 9, "text_pair": "b", "label": name} for name in ("neutral", "entailment")]
    dev = [{**ROW, "label": "neutral"}]
    with caplog.at_level("INFO"):
        datamodule = ready(NLIDataModule({"train": train, "dev": dev}, max_length=8))
    assert datamodule.truncated_counts == {"train": 2, "val": 0}
    assert "max_length=8 cuts texts: 2 of train" in caplog.messages
