"""What is computed by hand refuses a second derivative, rather than taking it to be zero."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModel

from lightning_clf.cpu import RowGradients, blocks
from lightning_clf.cpu.attention import attention
from lightning_clf.cpu.blocks import Ending, NarrowWeights
from lightning_clf.cpu.dropout import dropout
from lightning_clf.cpu.passes import Attending
from tests.cpu.parts import inputs


def linear(width=8):
    return nn.Linear(8, width)


def ending(width=8):
    return Ending(nn.Linear(width, 8), nn.LayerNorm(8), 0.1)


def whole():
    ends = ending(), ending(6)
    return blocks.layer(HIDDEN, None, (*LINEARS, linear(6)), ends, NarrowWeights(), ATTENDING)


LINEARS = [linear() for _ in range(3)]
ATTENDING = Attending(2, 0.1, 0.5)
HIDDEN = torch.randn(2, 3, 8).requires_grad_()
HEADS = torch.randn(2, 3, 4, 8).requires_grad_()
TABLE = nn.Parameter(torch.randn(2**17, 8))


@pytest.mark.parametrize(
    ("given", "compute"),
    [
        (HIDDEN, lambda: blocks.self_attention(HIDDEN, None, LINEARS, NarrowWeights(), ATTENDING)),
        (HIDDEN, lambda: blocks.intermediate(HIDDEN, linear(6), NarrowWeights())),
        (HIDDEN, lambda: blocks.output(HIDDEN.bfloat16(), HIDDEN, ending(), NarrowWeights())),
        (HIDDEN, whole),
        (HEADS, lambda: attention(HEADS, HEADS, HEADS, dropout_p=0.1)),
        (HEADS, lambda: attention(*[HEADS.bfloat16()] * 3)),
        (HIDDEN, lambda: dropout(HIDDEN, 0.1)),
    ],
)  # fmt: skip
def test_a_second_derivative_is_refused(given, compute):
    output = compute().float() ** 2
    with pytest.raises(RuntimeError, match=r"no second derivative: .* in evaluation mode"):
        torch.autograd.grad(output.sum(), given, create_graph=True, retain_graph=True)
    assert torch.autograd.grad(output.sum(), given)[0].abs().sum() > 0


def test_that_of_a_large_embedding_is_refused():
    rows = RowGradients().embedding(torch.tensor([1, 2]), TABLE)
    with pytest.raises(RuntimeError, match="no second derivative"):
        (rows**2).sum().backward(create_graph=True)


def test_what_is_advised_has_one(encoders):
    model = AutoModel.from_pretrained(encoders("bert"), attn_implementation="eager").eval()
    states = model(**inputs()).last_hidden_state
    weight = model.embeddings.word_embeddings.weight
    (gradient,) = torch.autograd.grad(states.square().sum(), weight, create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), weight)[0].abs().sum() > 0
