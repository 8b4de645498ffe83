"""A layer, its parts and their gradients are what their formulas give, to the last digits that float32 has."""

# ruff: noqa: E741

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_clf.cpu import blocks, masks, passes
from lightning_clf.cpu.blocks import Ending, NarrowWeights
from lightning_clf.cpu.passes import Attending

H, HEADS, I = 16, 4, 24
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


def dropped(values, mask, p=P):
    return values * (mask.view(values.shape) != 0) * masks.scale_of(p)


def double(values, layer):
    return functional.linear(values.double(), layer.weight.double(), layer.bias.double())


def attended(hidden, to_add, linears, mask, p=P):
    """Attention by its formula, with scores times 0.4."""
    query, key, value = (double(hidden, layer).view(*hidden.shape[:2], HEADS, -1).transpose(1, 2) for layer in linears)
    scores = query @ key.transpose(2, 3) * 0.4 + (0 if to_add is None else to_add)
    return (dropped(scores.softmax(-1), mask, p) @ value).transpose(1, 2).flatten(2)


def normalised(values, norm):
    return functional.layer_norm(values, (H,), norm.weight.double(), norm.bias.double(), norm.eps)


def drawn_norm(epsilon):
    norm = nn.LayerNorm(H, eps=epsilon)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


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
    leaves = [hidden, *(parameter for layer in linears for parameter in layer.parameters())]
    compare(found, attended(hidden, to_add, linears, kept[0]), leaves)


@pytest.mark.parametrize("shape", SHAPES)
def test_intermediate(shape):
    torch.manual_seed(0)
    hidden, layer = normal(*shape, H), nn.Linear(H, I)
    found = blocks.intermediate(hidden, layer, NarrowWeights())
    compare(found, functional.gelu(double(hidden, layer)), [hidden, *layer.parameters()])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part_of_a_larger_one", [False, True])
def test_output(shape, part_of_a_larger_one, kept):
    torch.manual_seed(0)
    hidden, given, layer, norm = normal(*shape, I), normal(*shape, H), nn.Linear(I, H), drawn_norm(1e-3)
    states, residual = (hidden[:, :1], given[:, :1]) if part_of_a_larger_one else (hidden, given)
    found = blocks.output(states, residual, Ending(layer, norm, P), NarrowWeights())
    expected = normalised(residual.double() + dropped(double(states, layer), kept[0]), norm)
    compare(found, expected, [hidden, given, *layer.parameters(), *norm.parameters()])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strided", [False, True])
def test_layer(shape, strided, kept):
    """With three probabilities and two epsilons."""
    torch.manual_seed(0)
    leaf = normal(shape[1], shape[0], H) if strided else normal(*shape, H)
    hidden, to_add = leaf.transpose(0, 1) if strided else leaf, torch.randn(shape[0], 1, 1, shape[1])
    linears, raising = [nn.Linear(H, H) for _ in range(3)], nn.Linear(H, I)
    ends = Ending(nn.Linear(H, H), drawn_norm(0.1), 0.2), Ending(nn.Linear(I, H), drawn_norm(1e-3), 0.5)
    attending = Attending(HEADS, P, scale=0.4)
    found = blocks.layer(hidden, to_add, (*linears, raising), ends, NarrowWeights(), attending)
    states = double(attended(hidden, to_add, linears, kept[0]), ends[0].linear)
    middle = normalised(hidden.double() + dropped(states, kept[1], 0.2), ends[0].norm)
    states = double(functional.gelu(double(middle, raising)), ends[1].linear)
    expected = normalised(middle + dropped(states, kept[2], 0.5), ends[1].norm)
    layers = [*linears, raising, *(layer for linear, norm, _ in ends for layer in (linear, norm))]
    compare(found, expected, [leaf, *(parameter for layer in layers for parameter in layer.parameters())])


def test_a_weight_is_narrowed_once_a_step():
    narrow, layer = NarrowWeights(), nn.Linear(2, 2)
    first = narrow.of(layer.weight)
    assert narrow.of(layer.weight) is first
    assert torch.equal(narrow.of(layer.weight, layer.weight), torch.cat([layer.weight, layer.weight]))
    with torch.no_grad():
        layer.weight.add_(1)
    assert torch.equal(narrow.of(layer.weight, layer.weight), torch.cat([layer.weight, layer.weight]))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda narrow: pickle.loads(pickle.dumps(narrow))])
def test_a_copy_of_narrow_weights_has_none_and_is_closed(copied):
    narrow = NarrowWeights()
    assert not narrow.is_open
    narrow.open()
    narrow.of(nn.Linear(2, 2).weight)
    other = copied(narrow)
    assert narrow.is_open
    assert not other.is_open
    assert not other._known
    narrow.close()
    assert not narrow.is_open
    assert not narrow._known
