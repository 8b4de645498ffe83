"""Which parameters decay, by name, and that a fused step is a plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from lightning_clf.finetuning import adamw, parameter_groups

DECAYING = {
    *(f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")),
    *(
        f"encoder.layer.{layer}.{name}.weight"
        for layer in (0, 1)
        for name in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        )
    ),
    "pooler.dense.weight",
    "classifier.weight",
}


def test_matrices_decay_and_vectors_do_not(encoders: Callable[[str], Path]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(encoders("bert"))
    names = {id(parameter): name.removeprefix("bert.") for name, parameter in model.named_parameters()}
    matrices, vectors = parameter_groups(model, 0.03)
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.03, 0.0)
    decaying = {names[id(parameter)] for parameter in matrices["params"]}
    others = {names[id(parameter)] for parameter in vectors["params"]}
    assert decaying == DECAYING
    assert all(name.endswith("bias") or "LayerNorm" in name for name in others)
    assert len(decaying) + len(others) == len(names)


def test_frozen_parameters_are_in_no_group_and_shared_ones_in_one() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    second.bias.requires_grad_(False)
    matrices, vectors = parameter_groups(nn.Sequential(first, second), 0.01)
    assert [id(parameter) for parameter in matrices["params"]] == [id(first.weight)]
    assert [id(parameter) for parameter in vectors["params"]] == [id(first.bias)]


def test_an_optimiser_shrinks_matrices_alone() -> None:
    layer = nn.Linear(2, 2)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    optimizer = adamw(layer, 0.5, 0.1)
    layer.weight.grad, layer.bias.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    assert torch.equal(layer.weight, torch.full((2, 2), 0.95))
    assert torch.equal(layer.bias, torch.ones(2))


def test_a_fused_step_is_a_plain_one() -> None:
    layers = [nn.Linear(64, 64), nn.Linear(64, 64)]
    layers[1].load_state_dict(layers[0].state_dict())
    plain = torch.optim.AdamW(parameter_groups(layers[1], 0.1), lr=1e-2, fused=False, foreach=False)
    optimizers = [adamw(layers[0], 1e-2, 0.1), plain]
    for _ in range(20):
        inputs = torch.randn(8, 64)
        for layer, optimizer in zip(layers, optimizers, strict=True):
            optimizer.zero_grad()
            layer(inputs).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(layers[0].state_dict(), layers[1].state_dict(), atol=1e-6, rtol=1e-5)
