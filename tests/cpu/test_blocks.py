"""The parts of a layer and their gradients are what their formulas give, to the last digits that float32 has."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_clf.cpu import blocks, masks, passes
from lightning_clf.cpu.blocks import Ending, NarrowWeights
from lightning_clf.cpu.passes import Attending

H, HEADS, I = 16, 4, 24  # noqa: E741
P = 0.3
SHAPES = [(3, 12), (1, 1), (2, 40), (1, 17)]


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """The masks that are drawn, in order; products are in float32."""
    monkeypatch.setattr(passes, "NARROW", torch.float32)
    drawn, draw = [], masks.draw

    def noted(shape, p):
        drawn.append(draw(shape, p))
        return drawn[-1]

    monkeypatch.setattr(masks, "draw", noted)
    return drawn


def normal(*shape):
    return torch.randn(shape, requires_grad=True)


def dropped(values, mask):
    return values * (mask.view(values.shape) != 0) * masks.scale_of(P)


def compare(found, expected, leaves):
    """Values, and gradients with regard to leaves, against those of a formula in float64 of the same leaves."""
    weights = torch.randn(found.shape)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    ours = torch.autograd.grad((found * weights).sum(), leaves)
    theirs = torch.autograd.grad((expected * weights.double()).sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention(shape, masked, kept):
    torch.manual_seed(0)
    hidden, linears = normal(*shape, H), [nn.Linear(H, H) for _ in range(3)]
    to_add = torch.randn(shape[0], 1, 1, shape[1]) if masked else None
    found = blocks.self_attention(hidden, to_add, linears, NarrowWeights(), Attending(HEADS, P, scale=0.4))
    query, key, value = (
        functional.linear(hidden.double(), layer.weight.double(), layer.bias.double())
        .view(*shape, HEADS, -1)
        .transpose(1, 2)
        for layer in linears
    )
    scores = query @ key.transpose(2, 3) * 0.4 + (0 if to_add is None else to_add)
    attended = dropped(scores.softmax(-1), kept[0]) @ value
    leaves = [hidden, *(parameter for layer in linears for parameter in layer.parameters())]
    compare(found, attended.transpose(1, 2).flatten(2), leaves)


@pytest.mark.parametrize("shape", SHAPES)
def test_intermediate(shape):
    torch.manual_seed(0)
    hidden, layer = normal(*shape, H), nn.Linear(H, I)
    found = blocks.intermediate(hidden, layer, NarrowWeights())
    raised = functional.linear(hidden.double(), layer.weight.double(), layer.bias.double())
    compare(found, functional.gelu(raised), [hidden, *layer.parameters()])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part_of_a_larger_one", [False, True])
def test_output(shape, part_of_a_larger_one, kept):
    torch.manual_seed(0)
    hidden, given, layer, norm = normal(*shape, I), normal(*shape, H), nn.Linear(I, H), nn.LayerNorm(H, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    states, residual = (hidden[:, :1], given[:, :1]) if part_of_a_larger_one else (hidden, given)
    found = blocks.output(states, residual, Ending(layer, norm, P), NarrowWeights())
    projected = functional.linear(states.double(), layer.weight.double(), layer.bias.double())
    added = residual.double() + dropped(projected, kept[0])
    expected = functional.layer_norm(added, (H,), norm.weight.double(), norm.bias.double(), 1e-3)
    compare(found, expected, [hidden, given, *layer.parameters(), *norm.parameters()])


def test_a_weight_is_narrowed_once_a_step():
    narrow, layer = NarrowWeights(), nn.Linear(2, 2)
    first = narrow.of(layer.weight)
    assert narrow.of(layer.weight) is first
    assert torch.equal(narrow.of(layer.weight, layer.weight), torch.cat([layer.weight, layer.weight]))
    with torch.no_grad():
        layer.weight.add_(1)
    narrow.clear()
    assert torch.equal(narrow.of(layer.weight), layer.weight)
