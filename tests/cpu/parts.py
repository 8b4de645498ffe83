"""One step of a BERT-like encoder, and how far it is from another."""

from __future__ import annotations

import sys

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from lightning_clf.cpu import CheapStep, RowGradients

PARTS = ["self_attention", "output", "intermediate", "output"]
"""The parts of a layer, in the order in which they are computed."""


def inputs():
    ids = torch.arange(5, 41).view(3, 12) % 13 + 5
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def step(model, *, ours=True, autocast=True, weights=None, context=None):
    """States and gradients of one step, whose masks are those of one seed; in a context that is given, or a new one."""
    model.zero_grad()
    torch.manual_seed(1)
    context = context or CheapStep(RowGradients(()), model if ours else None)
    with context, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        states = model(**inputs()).last_hidden_state
    weights = torch.linspace(-1, 1, states.numel()).view_as(states) if weights is None else weights
    (states.float() * weights).sum().backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return states.detach(), found


def exact(model):
    """The same in float64, by the layers' own code."""
    copy = type(model)(model.config).train()
    copy.load_state_dict(model.state_dict())
    return step(copy.double(), ours=False, autocast=False)


def distance(found, expected):
    """Of all gradients, how far they are from what they are to be, by the length of these."""
    names = [name for name in expected[1] if "key.bias" not in name]  # whose gradient is zero but for rounding
    assert found[1].keys() == expected[1].keys()
    largest = max(gradient.norm() for gradient in expected[1].values())
    assert all(found[1][name].norm() < 0.01 * largest for name in expected[1] if "key.bias" in name)
    return {name: (found[1][name] - expected[1][name]).norm() / expected[1][name].norm() for name in names}


def exchange_sdpa(monkeypatch, kind, where):
    """Have `sdpa` be another function `everywhere`, or where a class is written alone; its calls are noted."""
    called = []

    def mine(*given, **options):
        called.append(1)
        return sdpa_attention_forward(*given, **options)

    if where == "everywhere":
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "sdpa", mine)
    else:  # as `transformers` has it for one architecture alone
        table = AttentionInterface()
        table["sdpa"] = mine
        monkeypatch.setattr(sys.modules[kind.__module__], "ALL_ATTENTION_FUNCTIONS", table)
    return called
