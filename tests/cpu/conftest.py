"""Encoders with layers, and parts, that may be computed as one function each."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModel, CamembertConfig, CamembertModel, ElectraConfig, ElectraModel

from lightning_clf.cpu import blocks, unlearned_attention
from tests.cpu.parts import PARTS

_MADE = {"camembert": (CamembertConfig, CamembertModel), "electra": (ElectraConfig, ElectraModel)}


@pytest.fixture
def computed(monkeypatch):
    """The layers, and parts of them, that were computed as one function, by name."""
    names = []
    for name in {"layer", *PARTS}:
        function = getattr(blocks, name)

        def noted(*given, function=function, name=name, **keys):
            names.append(name)
            return function(*given, **keys)

        monkeypatch.setattr(blocks, name, noted)
    return names


@pytest.fixture
def model(encoders, request):
    torch.manual_seed(0)
    if request.param in _MADE:
        config, model_class = _MADE[request.param]
        size = {"hidden_size": 16, "embedding_size": 16, "intermediate_size": 32}
        model = model_class(config(vocab_size=40, num_hidden_layers=2, num_attention_heads=2, **size))
    else:
        model = AutoModel.from_pretrained(encoders("electra" if request.param == "projected" else request.param))
    for parameter in model.parameters():  # as they begin, biases and shifts are zero
        nn.init.normal_(parameter, std=0.2)
    return model.train()


@pytest.fixture
def attended(monkeypatch):
    """What was attended to by two products and not by `sdpa`, whatever the processor and however little there is."""
    shapes = []
    attend = unlearned_attention._attend

    def noted(*given):
        shapes.append(given[0].shape)
        return attend(*given)

    monkeypatch.setattr(unlearned_attention, "_attend", noted)
    monkeypatch.setattr(unlearned_attention, "_longest", lambda: float("inf"))
    monkeypatch.setattr(unlearned_attention, "_FEW", 1)
    return shapes
