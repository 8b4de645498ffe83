"""What is kept while rows are encoded."""

from __future__ import annotations

import tracemalloc
from collections import deque

from lightning_clf import LabelSpace
from lightning_clf.data import SequenceDataModule
from lightning_clf.data.encoded import Encoding, Summary, kept_examples
from tests.data.conftest import make_tokenizer


def test_rows_that_repeat_another_are_found_without_keeping_their_texts():
    rows = [{"text": f"{number % 300} {'x' * 10_000}", "label": "ab"[number % 2]} for number in range(600)]
    data = SequenceDataModule({"train": rows})
    labels = LabelSpace.of(["a", "b"], "single")
    encoding = Encoding(data.row_format, labels, make_tokenizer(), 16, drop_duplicates=True)
    summary = Summary()
    tracemalloc.start()
    try:
        deque(kept_examples(data.splits["train"], encoding, summary), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (summary.rows, summary.duplicates) == (300, 300)
    assert peak < 300_000  # of 3,000,000 characters
