"""The typed batch: masks, moves, and what it says when asked for what it lacks."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lightning_clf.batch import Batch


def tensors(batch: Batch) -> dict[str, torch.Tensor]:
    """Every tensor of a batch by name."""
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    inputs = fields.pop("inputs")
    return {**inputs, **{name: value for name, value in fields.items() if value is not None}}


@pytest.fixture
def words() -> Batch:
    """Two sentences of two words and of none."""
    return Batch(
        inputs={"input_ids": torch.tensor([[1, 5, 6], [1, 2, 0]]), "attention_mask": torch.ones(2, 3).long()},
        example_ids=torch.tensor([8, 3]),
        window_to_example=torch.tensor([0, 1]),
        targets=torch.tensor([[1, 0], [-100, -100]]),
        word_ids=torch.tensor([[-1, 0, -1], [-1, -1, -1]]),
        first_subword=torch.tensor([[1, -1], [-1, -1]]),
        word_counts=torch.tensor([2, 0]),
    )


@pytest.fixture
def texts() -> Batch:
    """Two windows of one text, for prediction."""
    return Batch({"input_ids": torch.ones(2, 3).long()}, torch.tensor([0]), torch.tensor([0, 0]))


def test_its_length_is_that_in_examples_not_windows(words: Batch, texts: Batch) -> None:
    assert (len(words), len(texts)) == (2, 1)


def test_words_count_whether_or_not_they_have_subwords(words: Batch) -> None:
    assert words.word_mask.tolist() == [[True, True], [False, False]]


def test_what_a_batch_of_texts_lacks(words: Batch, texts: Batch) -> None:
    with pytest.raises(TypeError, match="no words: a head or module for tags was given a batch of texts"):
        texts.words()
    with pytest.raises(TypeError, match="no words"):
        _ = texts.word_mask
    with pytest.raises(TypeError, match="no targets: it was collated for prediction"):
        texts.require_targets()
    assert words.require_targets() is words.targets
    assert words.words() == (words.first_subword, words.word_counts)


def test_every_tensor_moves(words: Batch, texts: Batch) -> None:
    for batch in (words, texts):
        moved = batch.to("meta")
        assert {name: tensor.shape for name, tensor in tensors(moved).items()} == {
            name: tensor.shape for name, tensor in tensors(batch).items()
        }
        assert all(tensor.is_meta for tensor in tensors(moved).values())
        assert not any(tensor.is_meta for tensor in tensors(batch).values())


def test_every_tensor_is_pinned(words: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(id(tensor)) or tensor)
    assert tensors(words.pin_memory()).keys() == tensors(words).keys()
    assert sorted(pinned) == sorted(map(id, tensors(words).values()))
