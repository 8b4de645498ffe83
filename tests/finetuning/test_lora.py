"""Adapters against the paper's formula, and what remains of them in plain weights."""

from __future__ import annotations

import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from lightning_clf.finetuning import LoRA, adapter_scaling, merged
from tests.tiny import ARCHITECTURES
from tests.training import complaint


def adapted(architecture, **options):
    torch.manual_seed(0)
    config, _ = ARCHITECTURES[architecture]()
    config.num_labels, config.pad_token_id = 3, config.pad_token_id or 0
    plain = AutoModelForSequenceClassification.from_config(config).eval()
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.load_state_dict(plain.state_dict())
    LoRA(**options).prepare(model)
    return plain, model


def randomise(model):
    for name, one in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one, std=0.1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merged_weights_are_a_plain_model_of_the_same_logits(architecture):
    plain, model = adapted(architecture, rank=4, alpha=6.0)
    inputs = torch.tensor([[5, 6, 7, 8, 9]])
    before = plain(input_ids=inputs).logits
    torch.testing.assert_close(model(input_ids=inputs).logits, before, atol=1e-6, rtol=0)  # B is 0: nothing changed
    randomise(model)
    after = model(input_ids=inputs).logits
    assert (after - before).abs().max() > 1e-5
    assert adapter_scaling(plain) is None
    assert adapter_scaling(model) == 1.5
    plain.load_state_dict(merged(model.state_dict(), adapter_scaling(model)))
    torch.testing.assert_close(plain(input_ids=inputs).logits, after, atol=1e-6, rtol=0)


def test_the_sum_is_the_papers():
    plain, model = adapted("bert", rank=2, alpha=3.0, target_modules=["query"])
    randomise(model)
    old, state = plain.state_dict(), model.state_dict()
    new = merged(state, 1.5)
    assert new.keys() == old.keys()
    changed = [name for name in old if not torch.equal(old[name], new[name])]
    names = [f"bert.encoder.layer.{layer}.attention.self.query" for layer in (0, 1)]
    assert changed == [f"{name}.weight" for name in names]
    for name in names:
        down, up = (state[f"{name}.lora_{one}.default.weight"].double() for one in "AB")
        expected = old[f"{name}.weight"].double() + 3.0 / 2 * up @ down
        torch.testing.assert_close(new[f"{name}.weight"].double(), expected, atol=1e-7, rtol=0)
    assert merged(old, None) is old


def test_what_is_trainable():
    _, model = adapted("bert", rank=4, target_modules=["query", "value"])
    moving = {name: one.numel() for name, one in model.named_parameters() if one.requires_grad}
    adapters = {name: number for name, number in moving.items() if "lora_" in name}
    assert len(adapters) == 2 * 2 * 2  # layers, targets, A and B
    assert set(adapters.values()) == {4 * 16}
    assert set(moving) - set(adapters) == {
        "bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"
    }  # fmt: skip
    LoRA(rank=4, target_modules=["query", "value"]).prepare(model)  # a second time changes nothing
    assert {name: one.numel() for name, one in model.named_parameters() if one.requires_grad} == moving
    _, model = adapted("bert")  # every linear layer of the layers: 6 in each
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 12


def test_groups_of_adapters():
    _, model = adapted("bert", rank=4)
    groups = LoRA(rank=4, head_learning_rate=0.1).groups(model, model, 1e-3, 0.01)
    assert [(group["depth"], group["lr"], len(group["params"])) for group in groups] == [
        (1, 1e-3, 12), (2, 1e-3, 12), (3, 0.1, 2), (3, 0.1, 2)
    ]  # fmt: skip


def test_nothing_is_computed_backward_below_the_lowest_adapter():
    _, model = adapted("bert")
    seen = []
    model.bert.embeddings.register_forward_hook(lambda _, __, output: seen.append(output.requires_grad))
    model.train()(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert seen == [False]
    assert all((one.grad is not None) == one.requires_grad for one in model.parameters())


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    message = complaint(lambda: adapted("bert"))
    assert message == "model.finetuning LoRA needs the package peft: pip install 'lightning-clf[lora]'"


def test_adapters_move_where_activations_are_computed_twice():
    _, model = adapted("bert")
    model.gradient_checkpointing_enable()
    model.train()(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert all((one.grad is not None) == one.requires_grad for one in model.parameters())
