"""Attention without a gradient is `sdpa` but for rounding, and `sdpa` itself where it is not of use."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import BertModel, modeling_utils
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from lightning_clf.cpu import unlearned_attention
from lightning_clf.cpu.unlearned_attention import ATTENTION
from tests.cpu.parts import exchange_sdpa

LENGTHS = [1, 5, 16, 40]
MASKS = {
    "none": lambda texts, length: None,
    "bool": lambda texts, length: torch.arange(length) < torch.arange(1, texts + 1)[:, None, None, None],
    "bool of all texts": lambda texts, length: torch.arange(length)[None, None, None] < max(1, length - 1),
    "float": lambda texts, length: torch.linspace(-3, 3, texts * length * length).view(texts, 1, length, length),
}


class Part(torch.nn.Module):
    """A part of an architecture, as far as attention looks at it."""

    is_causal = False


Part.__module__ = BertModel.__module__  # where one looks for what is called sdpa


def heads(length, *, queries=None, texts=7, dtype=torch.bfloat16, size=1.0, shared=1):
    """Queries, keys and values as projections leave them, with scores of about a size; several heads may share keys."""
    torch.manual_seed(0)
    sizes = ((queries or length, 3, size), (length, 3 // shared, 1.0), (length, 3 // shared, 1.0))
    return [(torch.randn(texts, wide, many, 8) * big).to(dtype).transpose(1, 2) for wide, many, big in sizes]


def call(states, mask=None, part=None, **options):
    part = Part().eval() if part is None else part
    return modeling_utils.ALL_ATTENTION_FUNCTIONS[ATTENTION](part, *states, mask, **options)[0]


@torch.no_grad()
def check(attended, states, mask, scale=None):
    """As near to the truth as attention that is written out in bfloat16."""
    exact = [one.double() for one in states]
    own = mask.double() if mask is not None and mask.is_floating_point() else mask
    true = functional.scaled_dot_product_attention(*exact, own, scale=scale).transpose(1, 2)
    query, key, value = states
    scores = (query @ key.transpose(2, 3) * (scale or 8**-0.5)).float()
    if mask is not None:
        scores = scores + (mask if mask.is_floating_point() else torch.where(mask, 0.0, -torch.inf))
    written_out = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2)
    found = call(states, mask, scaling=scale)
    assert attended == [query.shape]
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous()
    assert found.shape == true.shape
    assert (found - true).norm() < max(1.2 * (written_out - true).norm(), 2**-8 * true.norm())


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_attention(attended, length, mask, scale):
    check(attended, heads(length), MASKS[mask](7, length), scale)


@pytest.mark.parametrize("size", [5.0, 20.0])
def test_scores_that_are_large(attended, size):
    check(attended, heads(40, size=size), MASKS["bool"](7, 40))


@pytest.mark.parametrize("mask", ["none", "bool", "bool of all texts"])
def test_fewer_queries_than_keys(attended, mask):
    check(attended, heads(16, queries=1), MASKS[mask](7, 16))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("at_once", [1, 3 * 16 * 16, 2 * 3 * 16 * 16, 3 * 3 * 16 * 16])
def test_texts_are_computed_some_at_a_time(attended, monkeypatch, at_once, mask):
    sizes, weigh = [], unlearned_attention.weigh

    def noted(*given):
        weights = weigh(*given)
        sizes.append(weights.numel())
        return weights

    monkeypatch.setattr(unlearned_attention, "weigh", noted)
    monkeypatch.setattr(unlearned_attention, "_AT_ONCE", at_once)
    check(attended, heads(16), MASKS[mask](7, 16))
    assert max(sizes) == max(at_once, 3 * 16 * 16)
    assert sum(sizes) == 7 * 3 * 16 * 16


@torch.no_grad()
@pytest.mark.parametrize("mask", [torch.zeros(7, 1, 1, 16).bool(), torch.full((7, 1, 1, 16), -torch.inf)])
def test_a_text_that_may_attend_to_nothing_attends_to_all_alike(attended, mask):
    states = heads(16)
    found = call(states, mask)
    mean = states[2].float().mean(2, keepdim=True).expand(7, 3, 16, 8).transpose(1, 2)
    torch.testing.assert_close(found.float(), mean, atol=0.01, rtol=0.01)


@torch.no_grad()
@pytest.mark.parametrize(
    ("states", "options"),
    [
        pytest.param(heads(16, dtype=torch.float32), {}, id="float32"),
        pytest.param(heads(16, dtype=torch.float16), {}, id="float16"),
        pytest.param(heads(16), {"is_causal": True}, id="causal"),
        pytest.param(heads(16), {"position_bias": torch.ones(7, 3, 16, 16).bfloat16()}, id="positions with a bias"),
        pytest.param(heads(16), {"mask": torch.ones(16, 16).bool().tril()}, id="a mask of fewer dimensions"),
    ],
)
def test_what_it_is_not_for(attended, states, options):
    found = call(states, **options)
    assert attended == []
    given = {"attention_mask": None, **options}
    given["attention_mask"] = given.pop("mask", None)
    assert torch.equal(found, sdpa_attention_forward(Part(), *states, **given)[0])


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_dropout(attended, training):
    torch.manual_seed(1)
    found = call(heads(16), part=Part().train(training), dropout=0.5)
    torch.manual_seed(1)
    assert torch.equal(found, sdpa_attention_forward(Part(), *heads(16), None, dropout=0.5)[0])
    assert attended == []


@torch.no_grad()
def test_heads_that_share_keys(attended):
    part = Part().eval()
    part.num_key_value_groups = 3
    states = heads(16, shared=3)
    assert torch.equal(call(states, part=part), sdpa_attention_forward(part, *states, None)[0])
    assert attended == []


@torch.no_grad()
@pytest.mark.parametrize("which", ["one query", "one text with keys", "values in float32", "no keys"])
def test_states_of_other_shapes(attended, which):
    query, key, value = heads(16)
    states = {
        "one query": [query[:1], key, value],
        "one text with keys": [query, key[:1], value[:1]],
        "values in float32": [query, key, value.float()],
        "no keys": [query, key[:, :, :0], value[:, :, :0]],
    }[which]
    with torch.autocast("cpu", torch.bfloat16):
        found = call(states)
        assert torch.equal(found, sdpa_attention_forward(Part(), *states, None)[0])
    assert attended == []


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "taken"), [(torch.bfloat16, True), (torch.float16, False)])
def test_autocast(attended, dtype, taken):
    with torch.autocast("cpu", dtype):
        assert call(heads(16)).dtype == dtype
    assert bool(attended) == taken


@torch.no_grad()
def test_what_sdpa_refuses(attended):
    with pytest.raises(ValueError, match="softcap"):
        call(heads(16), softcap=30.0)


@torch.no_grad()
def test_a_mask_says_what_is_causal(attended):
    causal = torch.ones(16, 16, dtype=torch.bool).tril()[None, None]
    part = Part().eval()
    part.is_causal = True
    found = call(heads(16), causal, part)
    assert attended == [(7, 3, 16, 8)]
    torch.testing.assert_close(found, sdpa_attention_forward(part, *heads(16), None)[0], atol=0.03, rtol=0.03)


def test_where_a_gradient_is_wanted(attended):
    states = [one.requires_grad_() for one in heads(16)]
    call(states).sum().backward()
    assert attended == []
    assert all(one.grad is not None for one in states)


@torch.no_grad()
def test_few_rows(attended, monkeypatch):
    monkeypatch.setattr(unlearned_attention, "_FEW", 7 * 3 * 16)
    call(heads(16))
    call(heads(15))
    assert attended == [(7, 3, 16, 8)]


@torch.no_grad()
@pytest.mark.parametrize(
    ("abilities", "lengths"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, [32, 33, 512, 1024]),
        ({"avx512_bf16": True, "amx_bf16": True}, [32]),
        ({"avx512_bf16": False}, []),
        ({"neon": True, "bf16": True}, []),
    ],
)
def test_a_processor_that_is_faster_this_way(attended, monkeypatch, abilities, lengths):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    unlearned_attention._longest.cache_clear()
    states = {length: heads(length, texts=20) for length in (32, 33, 512, 1024, 1025)}
    assert [length for length, (query, key, _) in states.items() if cheaper(query, key)] == lengths
    unlearned_attention._longest.cache_clear()


def cheaper(query, key):
    return unlearned_attention._is_cheaper(query, key, key, None)


class PartOfOnesOwn(Part):
    """A part whose class is written somewhere else."""


class Whole(torch.nn.Module):
    """A part that is of no architecture."""

    is_causal = False


@torch.no_grad()
@pytest.mark.parametrize("kind", [PartOfOnesOwn, Whole])
def test_a_part_of_ones_own(attended, kind):
    call(heads(16), part=kind().eval())
    assert attended == [(7, 3, 16, 8)]


@torch.no_grad()
@pytest.mark.parametrize("kind", [Part, PartOfOnesOwn])
@pytest.mark.parametrize("where", ["everywhere", "here"])
def test_an_sdpa_of_ones_own(attended, monkeypatch, where, kind):
    called = exchange_sdpa(monkeypatch, BertModel, where)
    call(heads(16), part=kind().eval())
    assert (attended, called) == ([], [1])
