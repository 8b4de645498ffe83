"""Attention without a gradient is `sdpa` but for rounding, and `sdpa` itself where it is not of use."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional
from transformers import AttentionInterface, AutoModel, BertModel, modeling_utils
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from lightning_clf import SingleLabelClassifier
from lightning_clf.cpu import take_unlearned_attention, unlearned_attention
from lightning_clf.cpu.unlearned_attention import ATTENTION
from tests.training import make_data, make_module, make_trainer

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


@pytest.fixture
def computed(monkeypatch):
    """What was computed here rather than by `sdpa`, whatever the processor and however little there is."""
    calls = []
    attend = unlearned_attention._attend

    def noted(*given):
        calls.append(given[0].shape)
        return attend(*given)

    monkeypatch.setattr(unlearned_attention, "_attend", noted)
    monkeypatch.setattr(unlearned_attention, "_longest", lambda: float("inf"))
    monkeypatch.setattr(unlearned_attention, "_FEW", 1)
    return calls


def heads(length, *, queries=None, texts=7, dtype=torch.bfloat16):
    """Queries, keys and values as projections leave them."""
    torch.manual_seed(0)
    made = [torch.randn(texts, wide, 3, 8).to(dtype).transpose(1, 2) for wide in (queries or length, length, length)]
    return made[0], made[1], made[2]


def call(states, mask=None, part=None, **options):
    return modeling_utils.ALL_ATTENTION_FUNCTIONS[ATTENTION](part or Part(), *states, mask, **options)[0]


@torch.no_grad()
def check(computed, states, mask, scale=None):
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
    assert computed == [query.shape]
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous()
    assert found.shape == true.shape
    assert (found - true).norm() < max(1.2 * (written_out - true).norm(), 2**-8 * true.norm())


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_attention(computed, length, mask, scale):
    check(computed, heads(length), MASKS[mask](7, length), scale)


@pytest.mark.parametrize("mask", ["none", "bool", "bool of all texts"])
def test_fewer_queries_than_keys(computed, mask):
    check(computed, heads(16, queries=1), MASKS[mask](7, 16))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("at_once", [1, 3 * 16 * 16, 2 * 3 * 16 * 16, 3 * 3 * 16 * 16])
def test_texts_are_computed_some_at_a_time(computed, monkeypatch, at_once, mask):
    monkeypatch.setattr(unlearned_attention, "_AT_ONCE", at_once)
    check(computed, heads(16), MASKS[mask](7, 16))


@torch.no_grad()
@pytest.mark.parametrize(
    ("states", "options"),
    [
        pytest.param(heads(16, dtype=torch.float32), {}, id="float32"),
        pytest.param(heads(16, dtype=torch.float16), {}, id="float16"),
        pytest.param(heads(16), {"is_causal": True}, id="causal"),
        pytest.param(heads(16), {"position_bias": torch.ones(7, 3, 16, 16).bfloat16()}, id="positions with a bias"),
    ],
)
def test_what_it_is_not_for(computed, states, options):
    found = call(states, **options)
    assert computed == []
    assert torch.equal(found, sdpa_attention_forward(Part(), *states, None, **options)[0])


@torch.no_grad()
def test_a_mask_says_what_is_causal(computed):
    causal = torch.ones(16, 16, dtype=torch.bool).tril()[None, None]
    part = Part()
    part.is_causal = True
    found = call(heads(16), causal, part)
    assert computed == [(7, 3, 16, 8)]
    torch.testing.assert_close(found, sdpa_attention_forward(part, *heads(16), None)[0], atol=0.03, rtol=0.03)


def test_where_a_gradient_is_wanted(computed):
    states = [one.requires_grad_() for one in heads(16)]
    call(states).sum().backward()
    assert computed == []
    assert all(one.grad is not None for one in states)


@torch.no_grad()
def test_few_rows(computed, monkeypatch):
    monkeypatch.setattr(unlearned_attention, "_FEW", 7 * 3 * 16)
    call(heads(16))
    call(heads(15))
    assert computed == [(7, 3, 16, 8)]


@torch.no_grad()
@pytest.mark.parametrize(
    ("abilities", "lengths"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, [32, 33, 512]),
        ({"avx512_bf16": True, "amx_bf16": True}, [32]),
        ({"avx512_bf16": False}, []),
        ({"neon": True, "bf16": True}, []),
    ],
)
def test_a_processor_that_is_faster_this_way(computed, monkeypatch, abilities, lengths):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    unlearned_attention._longest.cache_clear()
    states = {length: heads(length, texts=20) for length in (32, 33, 512)}
    assert [length for length, (query, key, _) in states.items() if cheaper(query, key)] == lengths
    unlearned_attention._longest.cache_clear()


def cheaper(query, key):
    return unlearned_attention._is_cheaper(query, key)


class PartOfOnesOwn(Part):
    """A part whose class is written somewhere else."""


class Whole(torch.nn.Module):
    """A part that is of no architecture."""

    is_causal = False


@torch.no_grad()
@pytest.mark.parametrize("kind", [PartOfOnesOwn, Whole])
def test_a_part_of_ones_own(computed, kind):
    call(heads(16), part=kind())
    assert computed == [(7, 3, 16, 8)]


@torch.no_grad()
@pytest.mark.parametrize("kind", [Part, PartOfOnesOwn])
@pytest.mark.parametrize("where", ["everywhere", "here"])
def test_an_sdpa_of_ones_own(computed, monkeypatch, where, kind):
    called = []

    def mine(*given, **options):
        called.append(1)
        return sdpa_attention_forward(*given, **options)

    if where == "everywhere":
        monkeypatch.setitem(modeling_utils.ALL_ATTENTION_FUNCTIONS, "sdpa", mine)
    else:
        table = AttentionInterface()
        table["sdpa"] = mine
        monkeypatch.setattr("transformers.models.bert.modeling_bert.ALL_ATTENTION_FUNCTIONS", table)
    call(heads(16), part=kind())
    assert (computed, called) == ([], [1])


def inputs():
    ids = torch.arange(60).view(3, 20) % 35 + 5
    mask = torch.ones_like(ids)
    mask[0, 9:] = 0
    mask[2, 1:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("architecture", sorted(unlearned_attention._ARCHITECTURES - {"camembert"}))
def test_an_encoder(encoders, computed, architecture, padded):
    model = AutoModel.from_pretrained(encoders(architecture)).eval()
    given = inputs() if padded else {"input_ids": inputs()["input_ids"]}
    known = inputs()["attention_mask"].bool() if padded else ...
    narrow, wide = model.to(torch.bfloat16), AutoModel.from_pretrained(encoders(architecture)).eval()
    wide.load_state_dict(narrow.state_dict())
    theirs, exact = narrow(**given)[0][known].float(), wide(**given)[0][known]
    for one in (narrow, wide):
        take_unlearned_attention(one)
        assert one.config._attn_implementation == ATTENTION
    ours = narrow(**given)[0][known].float()
    assert len(computed) == narrow.config.num_hidden_layers
    assert (ours - exact).norm() < 1.3 * (theirs - exact).norm()
    assert torch.equal(wide(**given)[0][known], exact)
    assert len(computed) == narrow.config.num_hidden_layers


@pytest.mark.parametrize(("architecture", "attention"), [("bert", "eager"), ("qwen3", "sdpa"), ("deberta-v2", "eager")])
def test_what_is_left_alone(encoders, architecture, attention):
    model = AutoModel.from_pretrained(encoders(architecture), attn_implementation=attention)
    take_unlearned_attention(model)
    assert model.config._attn_implementation == attention


@pytest.mark.parametrize(("asked", "taken"), [(None, True), ("sdpa", False)])
def test_validation_of_a_fit(encoders, computed, tmp_path, asked, taken):
    module = make_module("single", encoders("bert"), attn_implementation=asked)
    make_trainer(tmp_path, precision="bf16-mixed").fit(module, make_data("single"))
    assert bool(computed) == taken


def test_an_export_knows_nothing_of_it(encoders, computed, tmp_path):
    module = make_module("single", encoders("bert"))
    make_trainer(tmp_path).fit(module, make_data("single"))
    assert isinstance(module, SingleLabelClassifier)
    assert module.network.config._attn_implementation == ATTENTION
    module.artefact.save(tmp_path / "export")
    assert "attn" not in " ".join(json.loads((tmp_path / "export/config.json").read_text()))
    assert "lightning_clf" not in (tmp_path / "export/config.json").read_text()
