"""Padding, targets and the places of first subwords, against plain Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.batch import IGNORE
from lightning_clf.encoding import Collator, Tokenizer, encode_words
from lightning_clf.labels import LabelSpace
from tests.texts import repeatable, sentences

TAGS = LabelSpace.tags(["PER", "LOC"], "IOB2")
PADS = SimpleNamespace(pad_token_id=7, pad_token_type_id=3)


def rows_of(columns: dict[str, list[Any]], **more: list[Any]) -> list[dict[str, Any]]:
    """Columns as rows."""
    columns = {**columns, "example_id": list(range(len(columns["input_ids"]))), **more}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert"])
@repeatable
@given(sentences, st.integers(4, 40))
def test_first_subwords_point_at_the_first_subword_of_their_word(
    taggers: Callable[[str], Tokenizer], architecture: str, batch_of_words: list[list[str]], max_length: int
) -> None:
    tokenizer = taggers(architecture)
    columns = encode_words(tokenizer, batch_of_words, max_length)
    batch = Collator(tokenizer, TAGS)(rows_of(columns))
    length = max(len(ids) for ids in columns["input_ids"])
    assert batch.word_ids.shape == batch.inputs["input_ids"].shape == (len(batch_of_words), length)
    assert batch.first_subword.shape == (len(batch_of_words), max(1, max(map(len, batch_of_words))))
    for row, word_ids in enumerate(columns["word_ids"]):
        for word, place in enumerate(batch.first_subword[row].tolist()):
            expected = row * length + word_ids.index(word) if word in word_ids else -1
            assert place == expected
        padding = batch.inputs["attention_mask"][row] == 0
        assert batch.word_ids[row].tolist() == [*word_ids, *[-1] * int(padding.sum())]
    assert batch.word_counts.tolist() == [len(words) for words in batch_of_words]
    assert batch.word_mask.sum(1).tolist() == batch.word_counts.tolist()


@pytest.mark.parametrize(
    ("multiple", "window", "length"),
    [(1, None, 5), (4, None, 8), (8, None, 8), (5, None, 5), (4, 8, 8), (4, 7, 7), (4, 5, 5), (4, 3, 5)],
)
def test_rows_are_padded_to_the_longest_or_the_multiple_above(multiple: int, window: int | None, length: int) -> None:
    rows = [
        {"input_ids": [1, 2, 9, 4, 5], "token_type_ids": [0, 0, 1, 1, 1], "example_id": 11},
        {"input_ids": [7, 6], "token_type_ids": [0, 0], "example_id": 4},
    ]
    batch = Collator(PADS, LabelSpace.of("ab", "single"), multiple, window)(rows)
    more = length - 5
    assert batch.inputs["input_ids"].tolist() == [[1, 2, 9, 4, 5, *[7] * more], [7, 6, *[7] * (length - 2)]]
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 1, 1, 1, *[3] * more], [0, 0, *[3] * (length - 2)]]
    # a real token that has the padding's id is no padding
    assert batch.inputs["attention_mask"].tolist() == [[1] * 5 + [0] * more, [1, 1] + [0] * (length - 2)]
    assert {tensor.dtype for tensor in batch.inputs.values()} == {torch.int64}
    assert batch.example_ids.tolist() == [11, 4]
    assert batch.window_to_example.tolist() == [0, 1]
    assert batch.targets is batch.word_ids is batch.first_subword is batch.word_counts is None


def test_numbers_that_are_not_to_be_written_to_are_not_handed_on() -> None:
    """As rows of a mapped file have them."""
    numbers = np.array([2, 0], np.int32)
    numbers.flags.writeable = False
    rows = [{"input_ids": numbers, "target": numbers, "example_id": 0}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = Collator(PADS, LabelSpace.of("abc", "multi"))(rows)
    assert batch.require_targets().tolist() == [[1.0, 0.0, 1.0]]
    assert batch.inputs["input_ids"].tolist() == [[2, 0]]


def test_a_tokenizer_without_a_token_that_pads() -> None:
    tokenizer = SimpleNamespace(pad_token_id=None, pad_token_type_id=0)
    rows = [{"input_ids": [3, 4], "example_id": 0}, {"input_ids": [5], "example_id": 1}]
    batch = Collator(tokenizer, LabelSpace.of("ab", "single"))(rows)
    assert batch.inputs["input_ids"].tolist() == [[3, 4], [5, 0]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1], [1, 0]]


def test_inputs_are_those_the_architecture_has() -> None:
    batch = Collator(PADS, LabelSpace.of("ab", "single"))([{"input_ids": [1], "example_id": 0}])
    assert list(batch.inputs) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize(
    ("labels", "targets", "expected", "dtype"),
    [
        (LabelSpace.of("abc", "single"), [2, 0], [2, 0], torch.int64),
        (LabelSpace.of("abc", "multi"), [[0, 2], []], [[1, 0, 1], [0, 0, 0]], torch.float32),
        (LabelSpace.score(0, 5), [4.5, 1], [4.5, 1.0], torch.float32),
    ],
)
def test_targets_by_kind(labels: LabelSpace, targets: list[Any], expected: list[Any], dtype: torch.dtype) -> None:
    batch = Collator(PADS, labels)(rows_of({"input_ids": [[1], [2]]}, target=targets))
    assert batch.targets.tolist() == expected
    assert batch.targets.dtype == dtype


def test_tags_are_padded_by_word() -> None:
    columns = {"input_ids": [[1, 5, 5, 2], [1, 2]], "word_ids": [[-1, 0, 2, -1], [-1, -1]], "word_count": [3, 0]}
    batch = Collator(PADS, TAGS)(rows_of(columns, target=[[1, 0, 2], []]))
    assert batch.targets.tolist() == [[1, 0, 2], [IGNORE] * 3]
    assert batch.first_subword.tolist() == [[1, -1, 2], [-1, -1, -1]]
    assert batch.word_mask.tolist() == [[True] * 3, [False] * 3]


def test_a_batch_of_sentences_without_words() -> None:
    columns = {"input_ids": [[1, 2], [1, 2]], "word_ids": [[-1, -1]] * 2, "word_count": [0, 0]}
    batch = Collator(PADS, TAGS)(rows_of(columns, target=[[], []]))
    assert batch.targets.tolist() == [[IGNORE], [IGNORE]]
    assert batch.first_subword.tolist() == [[-1], [-1]]
    assert not batch.word_mask.any()
