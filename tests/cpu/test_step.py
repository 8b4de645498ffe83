"""A step in the context is the step outside of it: scores and gradients, for every architecture."""

from __future__ import annotations

import contextlib

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import nn
from torch.nn import functional
from torch.optim import SGD, AdamW
from transformers import AutoModelForSequenceClassification

from lightning_clf import SingleLabelClassifier
from lightning_clf.cpu import CheapStep, RowGradients, embedding, masks
from lightning_clf.finetuning import adamw
from tests.tiny import ARCHITECTURES
from tests.training import make_data, make_trainer


class Checkpointed(SingleLabelClassifier):
    """A module whose encoder keeps few activations."""

    def build(self):
        super().build()
        self.network.encoder.gradient_checkpointing_enable()


def inputs():
    ids = torch.arange(5, 25).view(2, 10) % 13 + 5
    mask = torch.ones(2, 10, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture
def model(encoders, request):
    model = AutoModelForSequenceClassification.from_pretrained(encoders(request.param))
    model.config.pad_token_id = 0
    return model


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def gradients(model, context, *, bf16=False):
    """Scores and gradients of one step, dropout included."""
    model.train()
    model.zero_grad()
    with context, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        scores = model(**inputs()).logits
    scores.float().square().sum().backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return scores.detach(), found


@pytest.mark.parametrize("model", ARCHITECTURES, indirect=True)
def test_scores_and_gradients_are_the_same_when_all_is_kept(model, monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    monkeypatch.setattr(masks, "draw", lambda shape, p: torch.full(shape, -1, dtype=torch.int16))
    monkeypatch.setattr(masks, "scale_of", lambda p: 1.0)
    step = CheapStep(RowGradients())
    kept = gradients(model, step)
    again = gradients(model, step)  # in the place of the first
    without_dropout(model)
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        for config in (model.config, *(getattr(module, "config", model.config) for module in model.modules())):
            if hasattr(config, name):
                setattr(config, name, 0.0)
    for module in model.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    expected = gradients(model, contextlib.nullcontext())
    for found in (kept, again):
        torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-4)
        assert found[1].keys() == expected[1].keys()
        for name, gradient in expected[1].items():
            torch.testing.assert_close(found[1][name], gradient, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("model", ARCHITECTURES, indirect=True)
def test_evaluation_is_left_alone_and_training_drops(model):
    with torch.no_grad():
        model.eval()
        plain = model(**inputs()).logits
        with CheapStep(RowGradients()):
            torch.testing.assert_close(model(**inputs()).logits, plain)
            model.train()
            first, second = model(**inputs()).logits, model(**inputs()).logits
    assert not torch.equal(first, second)
    assert first.isfinite().all()


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_what_several_layers_read_is_narrowed_once(model):
    casts = []
    step = CheapStep(RowGradients(()))
    narrow = step._narrow

    def counted(*given):
        before = step._narrowed
        result = narrow(*given)
        casts.append(step._narrowed is not before)
        return result

    step._narrow = counted
    without_dropout(model)
    _, found = gradients(model, step, bf16=True)
    _, expected = gradients(model, contextlib.nullcontext(), bf16=True)
    layers = model.config.num_hidden_layers
    assert (casts.count(True), casts.count(False)) == (casts.count(True), 2 * layers)  # key and value after query
    for name, gradient in expected.items():
        error = (found[name] - gradient).norm()
        assert error <= 0.05 * gradient.norm() + 1e-4, name


def test_a_tensor_that_was_written_to_is_narrowed_anew():
    weight = torch.eye(3)
    given = torch.ones(2, 3)
    with CheapStep(RowGradients(())), torch.autocast("cpu", torch.bfloat16):
        first = functional.linear(given, weight)
        given.mul_(2)
        second = functional.linear(given, weight)
    assert torch.equal(second, 2 * first)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_what_is_read_without_gradients_before_has_them_after(without):
    weight = torch.eye(3)
    given = torch.ones(2, 3, requires_grad=True)
    with CheapStep(RowGradients(())), torch.autocast("cpu", torch.bfloat16):
        with without():
            functional.linear(given * 1, weight)
            functional.linear(given, weight)
        functional.linear(given, weight).sum().backward()
    assert torch.equal(given.grad, torch.ones(2, 3))


@pytest.mark.parametrize("most", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("only", [None, ()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["SGD", "fused AdamW", "ours"])
def test_clipping_is_pytorchs(name, dtype, only, most, monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    make = {
        "SGD": lambda network: SGD(network.parameters(), lr=0.1),
        "fused AdamW": lambda network: AdamW(network.parameters(), lr=0.1, fused=True),
        "ours": lambda network: adamw(network, 0.1, 0.01),
    }[name]
    results = []
    for context in (CheapStep(RowGradients(only)), None):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2)).to(dtype)
        optimizer = make(network)
        for factor in (1.0, 1e-3):  # one of which no clipping follows upon, for one of the norms
            optimizer.zero_grad()
            with context or contextlib.nullcontext():
                output = network(torch.tensor([[1, 2, 2], [7, 1, 9]]))
            (output.square().sum() * factor).backward()
            if context is None:
                nn.utils.clip_grad_norm_(network.parameters(), most)
            else:
                context.clip_gradients(optimizer, most)
            optimizer.step()
        results.append([(weight, weight.grad) for weight in network.parameters()])
    # our factor is of float32, and PyTorch's own of what gradients are
    tolerance = {
        torch.float32: {},
        torch.float64: {"rtol": 1e-6, "atol": 1e-6},
        torch.bfloat16: {"rtol": 2e-2, "atol": 1e-3},
    }
    torch.testing.assert_close(*results, **tolerance[dtype])


def test_a_gradient_that_is_nan_leaves_nothing_as_it_was():
    network = nn.Linear(2, 2)
    optimizer = adamw(network, 0.1, 0.01)
    network(torch.ones(1, 2)).sum().backward()
    network.bias.grad[0] = torch.nan
    CheapStep(RowGradients()).clip_gradients(optimizer, 1.0)
    optimizer.step()
    assert all(weight.isnan().all() for weight in network.parameters())


def test_what_clipping_leaves_to_a_step_is_for_that_step():
    network = nn.Linear(2, 2)
    optimizer = adamw(network, 0.1, 0.01)
    network(torch.ones(1, 2)).sum().backward()
    CheapStep(RowGradients()).clip_gradients(optimizer, 1e-3)
    optimizer.step()
    first = network.weight.grad.clone()
    optimizer.step()
    assert torch.equal(network.weight.grad, first)


def test_checkpointed_activations_are_computed_again_with_the_same_masks(encoders, tmp_path, monkeypatch):
    weights = []
    for module in (Checkpointed, SingleLabelClassifier):
        seed_everything(0, verbose=False)
        model = module(str(encoders("bert")), learning_rate=1e-3)
        make_trainer(tmp_path, num_sanity_val_steps=0).fit(model, make_data("single"))
        weights.append(model.state_dict())
        monkeypatch.setattr("lightning_clf.modules.trained.CheapStep", lambda rows, module: None)
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, msg=name)
