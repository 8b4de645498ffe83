"""BERT-like layers, and their parts, that are computed as one function each give what their own code gives."""

from __future__ import annotations

import contextlib
import importlib

import pytest
import torch
from torch import nn

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.cpu import CheapStep, RowGradients, layers, masks
from lightning_clf.last_layer import narrow_to_first_token, narrow_to_words, reading
from tests.cpu.parts import PARTS, distance, exact, inputs, step
from tests.training import make_data, make_module, make_trainer


def watch(model):
    """Hooks that do nothing, for which parts are computed by themselves."""
    for layer in model.encoder.layer:
        layer.attention.output.register_forward_hook(lambda module, given, output: None)


@pytest.mark.parametrize("model", sorted(BERT_LIKE), indirect=True)
@pytest.mark.parametrize("watched", [False, True])
def test_states_and_gradients_are_as_near_to_exact_ones_as_the_layers_own(model, computed, watched):
    if watched:
        watch(model)
    found = step(model)
    assert sorted(computed) == sorted(PARTS * 2 if watched else ["layer"] * 2)
    computed.clear()
    plain, expected = step(model, ours=False), exact(model)
    assert not computed
    assert (found[0] - expected[0]).norm() < 1.3 * (plain[0] - expected[0]).norm()
    ours, theirs = distance(found, expected), distance(plain, expected)
    # what is rounded where differs: `test_blocks.py` holds each part against its formula without rounding
    assert sum(ours.values()) < 1.5 * sum(theirs.values())
    assert max(ours.values()) < 1.5 * max(theirs.values()) + 0.02


@pytest.mark.parametrize("model", sorted(BERT_LIKE), indirect=True)
def test_a_layer_gives_to_the_last_bit_what_its_parts_give(model, computed):
    for number, layer in enumerate(model.encoder.layer):
        layer.attention.self.dropout.p = 0.15
        layer.attention.output.dropout.p, layer.output.dropout.p = 0.25, 0.4 + number / 10
        layer.attention.output.LayerNorm.eps, layer.output.LayerNorm.eps = 0.1, 1e-3
    whole = step(model)
    assert computed == ["layer"] * 2
    watch(model)
    by_parts = step(model)
    assert torch.equal(whole[0], by_parts[0])
    assert whole[1].keys() == by_parts[1].keys()
    assert all(torch.equal(gradient, by_parts[1][name]) for name, gradient in whole[1].items())


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_padding_is_attended_to_by_nobody(model):
    states = step(model)[0]
    changed = inputs()
    changed["input_ids"][1, 6:] += 1
    torch.manual_seed(1)
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        again = model(**changed).last_hidden_state
    assert torch.equal(states[1, :6], again[1, :6])
    assert not torch.equal(states[1, 6:], again[1, 6:])


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hooks_of_a_part_itself_are_run(model, computed):
    seen = []
    part = model.encoder.layer[0].attention.output
    part.register_forward_hook(lambda module, given, output: seen.append(output.shape))
    states = model.encoder.layer[0].register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    step(model)
    states.remove()
    assert seen == [torch.Size([3, 12, 16]), torch.float32]
    assert sorted(computed) == sorted([*PARTS, "layer"])


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hidden_states_are_those_of_the_layers(model, computed):
    torch.manual_seed(1)
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        output = model(**inputs(), output_hidden_states=True)
    assert len(computed) == 8  # as what collects attention looks at the parts
    torch.manual_seed(1)
    with CheapStep(RowGradients(()), None), torch.autocast("cpu", torch.bfloat16):
        own = model(**inputs(), output_hidden_states=True)
    assert len(output.hidden_states) == 3
    for states, others in zip(output.hidden_states, own.hidden_states, strict=True):
        torch.testing.assert_close(states, others, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("model", ["bert", "roberta"], indirect=True)
@pytest.mark.parametrize("read", ["first", "words"])
def test_a_last_layer_goes_on_with_the_tokens_that_are_read(model, computed, read):
    places = torch.tensor([1, 3, 4, 13, 14, 25, 26, 27])
    weights = torch.zeros(3, 12, 16)
    if read == "first":
        weights[:, 0] = torch.linspace(-1, 1, 48).view(3, 16)
    else:
        weights.view(36, 16)[places] = torch.linspace(-1, 1, 128).view(8, 16)
    for dropout in (module for module in model.modules() if isinstance(module, nn.Dropout)):
        dropout.p = 1e-4  # masks of fewer tokens are others
    whole = step(model, weights=weights)
    handles = narrow_to_first_token(model) if read == "first" else narrow_to_words(model)
    context = contextlib.nullcontext() if read == "first" else reading(places, inputs()["input_ids"])
    computed.clear()
    with context:
        found = step(model, weights=weights[:, :1] if read == "first" else weights)
    assert handles
    assert sorted(computed) == sorted(["layer", *PARTS])
    kept = slice(0, 1) if read == "first" else slice(None)
    unread = weights[:, kept].abs().sum(-1, keepdim=True) == 0
    torch.testing.assert_close(
        found[0].masked_fill(unread, 0), whole[0][:, kept].masked_fill(unread, 0), atol=0.05, rtol=0.05
    )
    assert max(distance(found, whole).values()) < 0.1


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_masks_are_drawn_in_the_order_of_the_layers_own(model, monkeypatch):
    drawn = []
    draw = masks.draw
    monkeypatch.setattr(masks, "draw", lambda shape, p: drawn.append(shape) or draw(shape, p))
    step(model)
    ours = [shape.numel() for shape in drawn]
    drawn.clear()
    step(model, ours=False)
    assert ours == [shape.numel() for shape in drawn]


@pytest.mark.parametrize("model_type", sorted(BERT_LIKE))
def test_the_names_of_the_classes_are_those_of_transformers(model_type):
    names = layers._ways_of(model_type)
    assert len(names) == 5
    for name in names:
        room, _, kind = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(room), kind), nn.Module)


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "score"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_fit_in_bfloat16_has_them(encoders, tmp_path, computed, kind, precision):
    trainer = make_trainer(tmp_path, precision=precision, max_steps=2, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(make_module(kind, encoders("bert")), make_data(kind))
    # the last layer goes on with few tokens
    assert sorted(computed) == ([] if precision == "32-true" else sorted(["layer", *PARTS] * 2))


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_hook_may_write_to_what_a_part_gives(model, computed):
    def mute(module, given, output):
        (output[0] if isinstance(output, tuple) else output)[..., 3] = 0

    first = model.encoder.layer[0]
    for part in (first.attention.self, first.intermediate, first.output):
        part.register_forward_hook(mute)
    found = step(model)
    assert sorted(computed) == sorted([*PARTS, "layer"])
    plain = step(model, ours=False)
    assert max(distance(found, plain).values()) < 0.1


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_text_that_is_computed_twice_has_its_weights_narrowed_once(model):
    torch.manual_seed(0)
    context = CheapStep(RowGradients(()), model)
    with context, torch.autocast("cpu", torch.bfloat16):
        model(**inputs())
        known = dict(context._layers._narrow._known)
        assert len(known) == 2 * 8
        model(**inputs())
        assert all(context._layers._narrow._known[weights] is narrow for weights, narrow in known.items())
    assert not context._layers._narrow._known
