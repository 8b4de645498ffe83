"""Parts of layers that are not as they came, or not at work in a step in bfloat16, are computed by their own code."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from transformers.activations import GELUActivation

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.cpu import CheapStep, RowGradients
from tests.cpu.parts import PARTS, distance, inputs, step
from tests.tiny import ARCHITECTURES


def frozen(model):
    model.encoder.layer[0].output.dense.bias.requires_grad_(requires_grad=False)
    return ["self_attention", "output", "intermediate"]


def frozen_norm(model):
    model.encoder.layer[0].attention.output.LayerNorm.weight.requires_grad_(requires_grad=False)
    return ["self_attention", "intermediate", "output"]


def frozen_below(model):
    model.embeddings.requires_grad_(requires_grad=False)
    return ["intermediate", "output"]  # what the first attention reads wants no gradient


def another_layer(model):
    class Mine(nn.Linear):
        pass

    first = model.encoder.layer[0].intermediate
    first.dense = Mine(16, 32)
    return ["self_attention", "output", "output"]


def parametrized(model):
    parametrizations.weight_norm(model.encoder.layer[0].attention.self.key)
    return ["output", "intermediate", "output"]


def hooked(model):
    model.encoder.layer[0].output.dense.register_forward_hook(lambda module, given, output: output * 2)
    return ["self_attention", "output", "intermediate"]


def hooked_before(model):
    model.encoder.layer[0].attention.self.query.register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    return ["output", "intermediate", "output"]


def without_attention_dropout(model):
    model.encoder.layer[0].attention.self.dropout.p = 0.0
    return ["output", "intermediate", "output"]


def without_dropout(model):
    model.encoder.layer[0].output.dropout.p = 0.0
    return ["self_attention", "output", "intermediate"]


def another_activation(model):
    model.encoder.layer[0].intermediate.intermediate_act_fn = nn.ReLU()
    return ["self_attention", "output", "output"]


def spectral(model):
    parametrizations.spectral_norm(model.encoder.layer[0].attention.self.key)
    return ["output", "intermediate", "output"]


def with_an_adapter(model):
    part = model.encoder.layer[0].output
    part.dense = nn.Sequential(part.dense, nn.Linear(16, 16))
    return ["self_attention", "output", "intermediate"]


def another_norm(model):
    model.encoder.layer[0].output.LayerNorm = nn.RMSNorm(16)
    return ["self_attention", "output", "intermediate"]


def no_dropout_layer(model):
    model.encoder.layer[0].output.dropout = nn.Identity()
    return ["self_attention", "output", "intermediate"]


def dropout_in_evaluation(model):
    model.encoder.layer[0].output.dropout.eval()
    return ["self_attention", "output", "intermediate"]


def causal(model):
    model.encoder.layer[0].attention.self.is_causal = True
    return ["output", "intermediate", "output"]


def hooked_backward(model):
    model.encoder.layer[0].output.dense.register_full_backward_hook(lambda module, to, of: None)
    return ["self_attention", "output", "intermediate"]


def in_evaluation(model):
    model.encoder.layer[0].attention.self.eval()
    return ["output", "intermediate", "output"]


def hooked_part(model):
    model.encoder.layer[0].attention.register_forward_hook(lambda module, given, output: (output[0] * 2, output[1]))
    return PARTS


def hooked_part_before(model):
    model.encoder.layer[0].output.register_forward_pre_hook(lambda module, given: (given[0] * 2, given[1]))
    return PARTS


def in_chunks(model):
    model.encoder.layer[0].chunk_size_feed_forward = 4
    return ["self_attention", "output", *["intermediate", "output"] * 3]  # of twelve subwords


def decoder(model):
    model.encoder.layer[0].is_decoder = True
    return PARTS


def layer_in_evaluation(model):
    model.encoder.layer[0].training = False
    return PARTS


def another_attention(model):
    class Mine(type(model.encoder.layer[0].attention)):
        def forward(self, *given, **options):
            states, weights = super().forward(*given, **options)
            return states * 2, weights

    model.encoder.layer[0].attention.__class__ = Mine
    return PARTS


def replaced_attention(model):
    part = model.encoder.layer[0].attention
    part.forward = lambda *given, **options: (type(part).forward(part, *given, **options)[0] * 2, None)
    return PARTS


def replaced_below(model):
    part = model.encoder.layer[0].intermediate.dense
    part.forward = lambda hidden: type(part).forward(part, hidden) * 2
    return ["self_attention", "output", "output"]


def gelu_of_python(model):
    model.encoder.layer[0].intermediate.intermediate_act_fn = GELUActivation(use_gelu_python=True)
    return ["self_attention", "output", "output"]


def one_token_of_the_part_alone(model):
    part = model.encoder.layer[0].attention.output
    part.register_forward_pre_hook(lambda module, given: (given[0][:, :1], given[1]))
    return ["self_attention", "intermediate", "output"]


def replaced(model):
    part = model.encoder.layer[0].intermediate
    part.forward = lambda hidden: type(part).forward(part, hidden) * 2
    return ["self_attention", "output", "output"]


# the states of an ELECTRA whose embeddings are projected are narrow
@pytest.mark.parametrize("model", sorted({*ARCHITECTURES, "projected"} - BERT_LIKE), indirect=True)
def test_other_architectures_are_left_alone(model, computed):
    step(model)
    assert not computed


@pytest.mark.parametrize(
    "change",
    [frozen, frozen_norm, frozen_below, another_layer, parametrized, hooked, hooked_before, without_attention_dropout,
     without_dropout, another_activation, spectral, with_an_adapter, another_norm, no_dropout_layer,
     dropout_in_evaluation, causal, hooked_backward, in_evaluation, hooked_part, hooked_part_before, in_chunks, decoder,
     layer_in_evaluation, another_attention, replaced_attention, replaced_below, gelu_of_python,
     one_token_of_the_part_alone, replaced],
)  # fmt: skip
@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_part_that_is_not_as_it_came_is_computed_by_its_own_code(model, computed, change):
    first = change(model)
    memory = {name: buffer.clone() for name, buffer in model.named_buffers()}
    found = step(model)
    assert sorted(computed) == sorted([*first, "layer"])
    moved = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for name, buffer in model.named_buffers():
        buffer.copy_(memory[name])
    plain = step(model, ours=False)
    torch.testing.assert_close(found[0], plain[0], atol=0.05, rtol=0.05)
    assert max(distance(found, plain).values()) < 0.1
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(moved[name], buffer)  # as a weight's norm is followed once a step


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("how", ["float32", "float16", "eager", "no gradient"])
def test_it_is_for_training_in_bfloat16_with_sdpa(model, computed, how):
    if how == "eager":
        model.set_attn_implementation("eager")
    dtype = torch.float16 if how == "float16" else torch.bfloat16
    grad = torch.no_grad() if how == "no gradient" else contextlib.nullcontext()
    context = CheapStep(RowGradients(()), model)
    with grad, context, torch.autocast("cpu", dtype, enabled=how != "float32"):
        model(**inputs())
    assert computed.count("self_attention") == computed.count("layer") == 0
    assert len(computed) == (6 if how == "eager" else 0)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_nothing_is_left_in_the_layers(model):
    def fail(module, given):
        raise RuntimeError("amid a step")

    step(model)
    model.encoder.layer[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="amid a step"):
        step(model)
    assert not [module for module in model.modules() if "forward" in module.__dict__]


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_layer_that_has_not_what_is_read_of_it(model, computed):
    """As one of another version of `transformers`."""
    first, second = model.encoder.layer
    del first.chunk_size_feed_forward, first.attention.self.scaling, first.intermediate.dense, first.output.dense
    del second.attention.self.is_causal  # without which `transformers` takes attention to be causal
    context = CheapStep(RowGradients(()), model)
    with context:
        left = {name for name, module in first.named_modules() if "forward" in module.__dict__}
    assert left == {"attention.output"}
    model.encoder.layer = model.encoder.layer[1:]
    step(model, context=context)
    assert computed == ["output", "intermediate", "output"]


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_mixture_in_the_place_of_a_feed_forward_part(model, computed):
    first = model.encoder.layer[0]
    first.feed_forward_chunk = lambda hidden: hidden * 2
    del first.intermediate, first.output
    step(model)
    assert computed == ["self_attention", "output", "layer"]


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_what_goes_to_attention_besides_is_heard(model, computed):
    part, states = model.encoder.layer[0].attention.self, torch.randn(1, 5, 16, requires_grad=True)
    learned = torch.zeros(1, 1, 5, 5, requires_grad=True)
    for options in (
        {"is_causal": True},
        {"attention_mask": learned},
        {"attention_mask": torch.ones(1, 1, 5, 5).long()},
    ):
        context = CheapStep(RowGradients(()), model)
        refused = contextlib.suppress(RuntimeError)  # PyTorch takes no mask of whole numbers
        with refused, context, torch.autocast("cpu", torch.bfloat16):
            part(states, **options)
        assert not computed
    mask = torch.full((1, 1, 5, 5), -1e4).tril(-1)
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        part(states, attention_mask=mask)
    assert computed == ["self_attention"]


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hooks_of_all_modules_are_run(model, computed):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, output: seen.append(module))
    try:
        step(model)
    finally:
        handle.remove()
    assert not computed
    assert model.encoder.layer[0].output.dense in seen
