"""Code that others put into layers, their parts or their classes is run, whenever and however they put it there."""

from __future__ import annotations

import copy
import functools
import pickle

import pytest
import torch
from torch import nn
from transformers.activations import GELUActivation

from lightning_clf.cpu import CheapStep, RowGradients
from tests.cpu.parts import PARTS, distance, exchange_sdpa, step

BY_PARTS = [*PARTS, "layer"]


def classes(model):
    """The class of a layer, and those of its parts, by the names that architectures give them."""
    first = model.encoder.layer[0]
    attention = first.attention
    parts = (first, attention, attention.self, attention.output, first.intermediate, first.output)
    names = ("Layer", "Attention", "SelfAttention", "SelfOutput", "Intermediate", "Output")
    return dict(zip(names, map(type, parts), strict=True))


def twice(own, *, wrapped):
    """Twice what code gives, under its name or not."""

    def doubled(*given, **options):
        output = own(*given, **options)
        return (output[0] * 2, *output[1:]) if isinstance(output, tuple) else output * 2

    return functools.wraps(own)(doubled) if wrapped else doubled


def check(model, computed, expected, context=None):
    """A step is as it is without ours, and has computed what is expected by ours."""
    found = step(model, context=context)
    assert sorted(computed) == sorted(expected)
    plain = step(model, ours=False)
    torch.testing.assert_close(found[0], plain[0], atol=0.05, rtol=0.05)
    assert max(distance(found, plain).values()) < 0.1


@pytest.mark.parametrize("model", ["bert", "roberta"], indirect=True)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ["Layer", "Attention", "SelfAttention", "SelfOutput", "Intermediate", "Output"])
def test_code_that_was_put_into_a_class(model, computed, monkeypatch, name, wrapped, late):
    """Under a name of its own or that of what it wraps, before a fit or amid it."""
    context = CheapStep(RowGradients(()), model) if late else None
    kind = classes(model)[name]
    monkeypatch.setattr(kind, "forward", twice(kind.forward, wrapped=wrapped))
    missing = {"SelfAttention": "self_attention", "SelfOutput": "output", "Intermediate": "intermediate"}
    left = list(PARTS)
    if name in missing or name == "Output":
        left.remove(missing.get(name, "output"))
    check(model, computed, left * 2, context)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("where", ["layer", "class"])
def test_a_feed_forward_part_of_ones_own(model, computed, monkeypatch, where):
    first = model.encoder.layer[0]
    doubled = twice(type(first).feed_forward_chunk, wrapped=True)
    if where == "class":
        monkeypatch.setattr(type(first), "feed_forward_chunk", doubled)
    else:
        first.feed_forward_chunk = functools.partial(doubled, first)
    check(model, computed, PARTS * 2 if where == "class" else BY_PARTS)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("name", ["Layer", "SelfOutput"])
def test_a_class_that_was_exchanged_amid_a_fit(model, computed, name):
    context = CheapStep(RowGradients(()), model)
    first = model.encoder.layer[0]
    part = first if name == "Layer" else first.attention.output

    class Mine(type(part)):
        def forward(self, *given, **options):
            return super().forward(*given, **options) * 2

    part.__class__ = Mine
    left = BY_PARTS if name == "Layer" else [part for part in BY_PARTS if part != "output"] + ["output"]
    check(model, computed, left, context)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("where", ["everywhere", "here"])
def test_an_sdpa_of_ones_own(model, computed, monkeypatch, where):
    called = exchange_sdpa(monkeypatch, type(model.encoder.layer[0]), where)
    step(model)
    assert computed == ["output", "intermediate", "output"] * 2
    assert len(called) == 2


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("kind", [nn.Linear, nn.LayerNorm, nn.Dropout, GELUActivation])
def test_code_that_was_put_into_pytorch(model, computed, monkeypatch, kind):
    monkeypatch.setattr(kind, "forward", twice(kind.forward, wrapped=True))
    check(model, computed, [])


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("name", ["linear", "gelu", "layer_norm", "dropout"])
def test_functions_that_were_exchanged(model, computed, monkeypatch, name):
    monkeypatch.setattr(nn.functional, name, twice(getattr(nn.functional, name), wrapped=True))
    step(model)
    assert not computed


class Proxy:
    """Looks like the function it calls, as those of tracers do."""

    def __init__(self, function):
        self.__wrapped__, self.__globals__ = function.__wrapped__, function.__globals__
        self.function = function

    def __get__(self, part, kind=None):
        return self if part is None else functools.partial(self, part)

    def __call__(self, *given, **options):
        return self.function(*given, **options) * 2


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_proxy_of_a_layers_code(model, computed, monkeypatch):
    kind = type(model.encoder.layer[0])
    monkeypatch.setattr(kind, "forward", Proxy(kind.forward))
    check(model, computed, PARTS * 2)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hooks_of_all_modules_that_come_amid_a_step(model, computed):
    seen = []
    look = nn.modules.module.register_module_forward_hook
    handles = []
    hook = lambda module, given, output: seen.append(module)  # noqa: E731
    model.embeddings.register_forward_hook(lambda module, given, output: handles.append(look(hook)))
    try:
        step(model)
    finally:
        handles[0].remove()
    assert not computed
    assert model.encoder.layer[1].output.dense in seen


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_heads_that_were_pruned(model, computed):
    part = model.encoder.layer[0].attention
    for name in ("query", "key", "value"):
        setattr(part.self, name, nn.Linear(16, 8))
    part.output.dense = nn.Linear(8, 16)
    part.self.num_attention_heads = 1
    check(model, computed, [one for one in BY_PARTS if one != "self_attention"])


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("hook", ["full", "before"])
@pytest.mark.parametrize("where", ["attention", "output", "self"])
def test_hooks_of_the_way_back(model, computed, hook, where):
    seen = []
    first = model.encoder.layer[0]
    part = first.attention.self if where == "self" else getattr(first, where)

    def see(module, *gradients):
        seen.append([one.float() for some in gradients for one in some if one is not None])

    (part.register_full_backward_hook if hook == "full" else part.register_full_backward_pre_hook)(see)
    found = step(model)
    assert computed.count("layer") == 1
    ours, seen[:] = list(seen), []
    plain = step(model, ours=False)
    assert len(ours) == len(seen) == 1
    for one, other in zip(ours[0], seen[0], strict=True):
        assert (one - other).norm() <= 0.1 * other.norm()  # of a mask none
    assert max(distance(found, plain).values()) < 0.1


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_options_of_a_layer_are_heard(model, computed):
    states, layer = torch.randn(1, 5, 16, requires_grad=True), model.encoder.layer[0]
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        layer(states, None, None)
        assert computed == ["layer"]
        computed.clear()
        layer(states, is_mine=True)
    assert computed == ["output", "intermediate", "output"]


@pytest.mark.parametrize("model", ["bert"], indirect=True)
@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_amid_a_step_reads_its_own_weights(model, computed, copy_of):
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        model.encoder.layer[0](torch.ones(1, 3, 16, requires_grad=True))
        copied = copy_of(model)
    computed.clear()
    first = step(copied, ours=False)[0]
    with torch.no_grad():
        copied.encoder.layer[1].output.dense.weight.mul_(3)
    assert not torch.equal(first, step(copied, ours=False)[0])
    assert not computed


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_weights_that_are_written_to_within_a_step_are_read_anew(model):
    for dropout in (module for module in model.modules() if isinstance(module, nn.Dropout)):
        dropout.p = 1e-4  # masks differ
    found = []
    with CheapStep(RowGradients(()), model):
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                found.append(model.encoder.layer[0](torch.ones(1, 3, 16, requires_grad=True)).detach())
            with torch.no_grad():
                model.encoder.layer[0].output.dense.weight.mul_(3)
    assert not torch.allclose(*found, atol=0.1)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_layer_at_two_places(model, computed):
    model.encoder.layer[1] = model.encoder.layer[0]
    check(model, computed, ["layer"] * 2)
