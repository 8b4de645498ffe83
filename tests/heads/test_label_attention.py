"""Attention for each label against the paper's formula, label by label and token by token."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError
from lightning_clf.heads import LabelAttentionHead, LinearHead
from lightning_clf.labels import LabelSpace
from tests.heads.batches import attached

LABELS = {"multi": LabelSpace.of("abcde", "multi"), "single": LabelSpace.of("abcde", "single")}
LENGTHS = [6, 4, 2]


@pytest.fixture
def head() -> LabelAttentionHead:
    torch.manual_seed(0)
    made: LabelAttentionHead = attached(LabelAttentionHead(), LABELS["multi"])
    made.bias.data.normal_()
    return made


def test_it_is_the_formula(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    scores = head(hidden, batch)
    assert scores.shape == (3, 5)
    for row, length in enumerate(LENGTHS):
        states = hidden[row, :length].double()
        for label in range(5):
            attention = torch.stack([state @ head.queries.weight[label].double() for state in states]).exp()
            attention = attention / attention.sum()
            looked = sum(weight * state for weight, state in zip(attention, states, strict=True))
            expected = head.output.weight[label].double() @ looked + head.bias[label].double()
            assert scores[row, label].item() == pytest.approx(expected.item(), abs=1e-6)


def test_gradients(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    head = head.double()
    states = hidden.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: head(values, batch), states)
    head(states, batch).square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_padding_has_no_say(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    padding = batch.inputs["attention_mask"] == 0
    other = hidden.masked_fill(padding[..., None], 1e4).requires_grad_()
    scores = head(other, batch)
    torch.testing.assert_close(scores, head(hidden, batch))
    scores.square().sum().backward()
    assert not other.grad[padding].any()
    longer = torch.nn.functional.pad(hidden, (0, 0, 0, 3), value=7.0)
    batch.inputs["attention_mask"] = torch.nn.functional.pad(batch.inputs["attention_mask"], (0, 3))
    torch.testing.assert_close(head(longer, batch), scores)


def test_a_text_of_no_token_has_numbers(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    batch.inputs["attention_mask"][2] = 0
    torch.testing.assert_close(head(hidden, batch)[2], head.bias)


def test_long_texts_in_low_precision(head: LabelAttentionHead, batch: Batch) -> None:
    low = head.bfloat16()
    hidden = torch.randn(1, 3000, 4, generator=torch.Generator().manual_seed(1)).bfloat16()
    batch.inputs["attention_mask"] = torch.ones(1, 3000, dtype=torch.long)
    scores = low(hidden, batch)
    assert scores.dtype == torch.bfloat16
    # logits are rounded, but the softmax over 3000 tokens and the sum are not
    looked, said = low.queries(hidden).double(), low.output(hidden).double()
    expected = (looked.softmax(1) * said).sum(1) + low.bias.double()
    torch.testing.assert_close(scores.double(), expected, atol=5e-3, rtol=5e-3)


def test_predictions_are_those_of_any_logits(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    for labels in LABELS.values():
        head.labels = labels
        scores, plain = head(hidden, batch), LinearHead()
        plain.labels = labels
        one, other = head.decode(scores, batch), plain.decode(scores, batch)
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.probabilities, other.probabilities)


def test_dropout_acts_in_training_alone(head: LabelAttentionHead, hidden: torch.Tensor, batch: Batch) -> None:
    expected = head(hidden, batch)
    torch.testing.assert_close(head(hidden, batch), expected, atol=0, rtol=0)
    assert not torch.equal(head.train()(hidden, batch), expected)


@pytest.mark.parametrize("dropout", [-0.1, 1.5])
def test_a_dropout_out_of_range(dropout: float) -> None:
    with pytest.raises(InputError, match="dropout is "):
        LabelAttentionHead(dropout=dropout)


def test_it_is_made_again_from_its_specification() -> Any:
    assert LabelAttentionHead(dropout=0.2).spec() == {
        "class_path": "lightning_clf.heads.label_attention.LabelAttentionHead",
        "init_args": {"dropout": 0.2},
    }
