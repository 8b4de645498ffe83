"""Each pooling against plain NumPy, token by token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError
from lightning_clf.heads.pooling import make_pooling

SEQUENCE = ["cls", "mean", "max", "attention", "last"]
WORD = ["first", "mean", "max"]
REDUCE = {"mean": lambda rows: rows.mean(0), "max": lambda rows: rows.max(0)}


def attention(rows: np.ndarray, pooling: torch.nn.Module) -> np.ndarray:
    """softmax(w · tanh(W h + b)), from the parameters."""
    project, bias = pooling.project.weight.detach().numpy(), pooling.project.bias.detach().numpy()
    weight = np.exp(np.tanh(rows @ project.T + bias) @ pooling.query.weight.detach().numpy()[0])
    return weight / weight.sum() @ rows


@pytest.mark.parametrize("name", SEQUENCE)
def test_texts(name: str, hidden: torch.Tensor, batch: Batch) -> None:
    pooling = make_pooling(name, 4, words=False)
    pooled = pooling(hidden, batch).detach().numpy()
    assert pooled.shape == (3, 4)
    for row, length in enumerate([6, 4, 2]):
        real = hidden[row, :length].numpy()
        expected = {
            "cls": lambda rows: rows[0],
            "last": lambda rows: rows[-1],
            "attention": lambda rows: attention(rows, pooling),
            **REDUCE,
        }[name](real)
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WORD)
def test_words(name: str, hidden: torch.Tensor, batch: Batch) -> None:
    pooled = make_pooling(name, 4, words=True)(hidden, batch).numpy()
    assert pooled.shape == (3, 4, 4)
    for row, word_ids in enumerate(batch.word_ids.tolist()):
        for word in range(batch.word_counts[row]):
            subwords = hidden[row, [place for place, owner in enumerate(word_ids) if owner == word]].numpy()
            if len(subwords):
                expected = subwords[0] if name == "first" else REDUCE[name](subwords)
                np.testing.assert_allclose(pooled[row, word], expected, rtol=1e-5, atol=1e-6)
            elif name != "first":
                assert not pooled[row, word].any()


@pytest.mark.parametrize("name", ["mean", "max"])
def test_words_that_lie_in_two_windows(name: str, hidden: torch.Tensor, batch: Batch) -> None:
    # the second window goes on with the first example: its words 0 and 1 are found in both
    windows = replace(
        batch,
        example_ids=torch.arange(2),
        window_to_example=torch.tensor([0, 0, 1]),
        first_subword=torch.tensor([[1, 8, 3, 4], [-1, -1, -1, -1]]),
        word_counts=torch.tensor([4, 0]),
    )
    pooled = make_pooling(name, 4, words=True)(hidden, windows).numpy()
    assert pooled.shape == (2, 4, 4)
    shared = torch.stack([hidden[0, 1], hidden[0, 2], hidden[1, 1]]).numpy()
    np.testing.assert_allclose(pooled[0, 0], REDUCE[name](shared), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooled[0, 1], hidden[1, 2].numpy(), rtol=1e-6)
    assert not pooled[1].any()


@pytest.mark.parametrize(("name", "words"), [(n, False) for n in SEQUENCE] + [(n, True) for n in WORD])
def test_padding_has_no_say(name: str, words: bool, hidden: torch.Tensor, batch: Batch) -> None:
    pooling = make_pooling(name, 4, words=words)
    padding = batch.inputs["attention_mask"] == 0
    other = hidden.masked_fill(padding[..., None], 1e4).requires_grad_()
    # a word without a subword gets another's value from `first`, which heads mask
    seen = batch.first_subword >= 0 if words else slice(None)
    pooled = pooling(other, batch)[seen]
    torch.testing.assert_close(pooled, pooling(hidden, batch)[seen])
    pooled.square().sum().backward()
    assert not other.grad[padding].any()
    assert other.grad[~padding].any()


@pytest.mark.parametrize(("name", "words"), [(n, False) for n in SEQUENCE] + [(n, True) for n in WORD])
def test_low_precision_stays_so_outside_but_not_in_sums(
    name: str, words: bool, hidden: torch.Tensor, batch: Batch
) -> None:
    pooling = make_pooling(name, 4, words=words)
    low = hidden.bfloat16()
    exact = pooling(low.float(), batch).bfloat16()
    pooled = pooling.bfloat16()(low, batch)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(
        pooled, exact, rtol=0.02 if name == "attention" else 0, atol=0.02 if name == "attention" else 0
    )


def test_a_long_mean_in_low_precision_is_that_of_float32(batch: Batch) -> None:
    ones = torch.ones(1, 4000, 2, dtype=torch.bfloat16)  # a sum in bf16 stops at 256
    long = replace(batch, inputs={"attention_mask": torch.ones(1, 4000, dtype=torch.long)})
    assert make_pooling("mean", 2, words=False)(ones, long).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("cls", True, r"pooling 'cls' does not pool words: set the head's pooling to one of first, mean, max"),
        ("last", True, "does not pool words"),
        ("first", False, r"'first' does not pool texts: .* one of cls, mean, max, attention, last"),
        ("avg", False, "'avg' does not pool texts"),
    ],
)
def test_a_pooling_for_the_other_unit_is_refused(name: str, words: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_pooling(name, 4, words=words)
