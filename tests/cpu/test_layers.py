"""The parts of BERT-like layers that are computed as one function each give what the layers' own code gives."""

from __future__ import annotations

import contextlib
import importlib

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from transformers import AutoModel, CamembertConfig, CamembertModel, ElectraConfig, ElectraModel

from lightning_clf.cpu import CheapStep, RowGradients, blocks, layers, masks
from lightning_clf.last_layer import narrow_to_first_token, narrow_to_words, reading
from tests.tiny import ARCHITECTURES
from tests.training import make_data, make_module, make_trainer

BERT_LIKE = ("bert", "roberta", "xlm-roberta")
MADE = {"camembert": (CamembertConfig, CamembertModel), "electra": (ElectraConfig, ElectraModel)}
PARTS = ("self_attention", "intermediate", "output")


@pytest.fixture
def computed(monkeypatch):
    """The parts that were computed as one function, by name."""
    names = []
    for name in PARTS:
        function = getattr(blocks, name)

        def noted(*given, function=function, name=name, **keys):
            names.append(name)
            return function(*given, **keys)

        monkeypatch.setattr(blocks, name, noted)
    return names


@pytest.fixture
def model(encoders, request):
    torch.manual_seed(0)
    if request.param in MADE:
        config, model_class = MADE[request.param]
        size = {"hidden_size": 16, "embedding_size": 16, "intermediate_size": 32}
        model = model_class(config(vocab_size=40, num_hidden_layers=2, num_attention_heads=2, **size))
    else:
        model = AutoModel.from_pretrained(encoders("electra" if request.param == "projected" else request.param))
    for parameter in model.parameters():  # as they begin, biases and shifts are zero
        nn.init.normal_(parameter, std=0.2)
    return model.train()


def inputs():
    ids = torch.arange(5, 41).view(3, 12) % 13 + 5
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def step(model, *, ours=True, autocast=True, weights=None):
    """States and gradients of one step, whose masks are those of one seed."""
    model.zero_grad()
    torch.manual_seed(1)
    context = CheapStep(RowGradients(()), model if ours else None)
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
    return {name: (found[1][name] - expected[1][name]).norm() / expected[1][name].norm() for name in names}


@pytest.mark.parametrize("model", [*BERT_LIKE, *MADE], indirect=True)
def test_states_and_gradients_are_as_near_to_exact_ones_as_the_layers_own(model, computed):
    found = step(model)
    assert sorted(computed) == sorted(["self_attention", "intermediate", "output", "output"] * 2)
    computed.clear()
    plain, expected = step(model, ours=False), exact(model)
    assert not computed
    assert (found[0] - expected[0]).norm() < 1.2 * (plain[0] - expected[0]).norm()
    ours, theirs = distance(found, expected), distance(plain, expected)
    assert sum(ours.values()) < 1.2 * sum(theirs.values())
    assert max(ours.values()) < 0.1


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


# the states of an ELECTRA whose embeddings are projected are narrow
@pytest.mark.parametrize("model", sorted({*ARCHITECTURES, "projected"} - {*BERT_LIKE, *MADE}), indirect=True)
def test_other_architectures_are_left_alone(model, computed):
    step(model)
    assert not computed


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


def in_evaluation(model):
    model.encoder.layer[0].attention.self.eval()
    return ["output", "intermediate", "output"]


def replaced(model):
    part = model.encoder.layer[0].intermediate
    part.forward = lambda hidden: type(part).forward(part, hidden) * 2
    return ["self_attention", "output", "output"]


@pytest.mark.parametrize(
    "change",
    [frozen, frozen_norm, frozen_below, another_layer, parametrized, hooked, hooked_before, without_attention_dropout,
     without_dropout, another_activation, in_evaluation, replaced],
)  # fmt: skip
@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_a_part_that_is_not_as_it_came_is_computed_by_its_own_code(model, computed, change):
    first = change(model)
    found = step(model)
    assert sorted(computed) == sorted([*first, "self_attention", "output", "intermediate", "output"])
    plain = step(model, ours=False)
    torch.testing.assert_close(found[0], plain[0], atol=0.05, rtol=0.05)
    assert max(distance(found, plain).values()) < 0.1


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
    assert computed.count("self_attention") == 0
    assert len(computed) == (6 if how == "eager" else 0)


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hooks_of_a_part_itself_are_run(model, computed):
    seen = []
    part = model.encoder.layer[0].attention.output
    part.register_forward_hook(lambda module, given, output: seen.append(output.shape))
    states = model.encoder.layer[0].register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    step(model)
    states.remove()
    assert seen == [torch.Size([3, 12, 16]), torch.float32]
    assert len(computed) == 8


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_hidden_states_are_those_of_the_layers(model, computed):
    with CheapStep(RowGradients(()), model), torch.autocast("cpu", torch.bfloat16):
        output = model(**inputs(), output_hidden_states=True)
    assert len(computed) == 8
    assert len(output.hidden_states) == 3
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)


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
    assert len(computed) == 8
    kept = slice(0, 1) if read == "first" else slice(None)
    unread = weights[:, kept].abs().sum(-1, keepdim=True) == 0
    torch.testing.assert_close(
        found[0].masked_fill(unread, 0), whole[0][:, kept].masked_fill(unread, 0), atol=0.05, rtol=0.05
    )
    assert max(distance(found, whole).values()) < 0.1


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
def test_masks_are_drawn_in_the_order_of_the_layers_own(model, monkeypatch):
    drawn = []
    draw = masks.draw
    monkeypatch.setattr(masks, "draw", lambda shape, p: drawn.append(shape) or draw(shape, p))
    step(model)
    ours = [shape.numel() for shape in drawn]
    drawn.clear()
    step(model, ours=False)
    assert ours == [shape.numel() for shape in drawn]


def test_the_names_of_the_classes_are_those_of_transformers():
    for name, prefix in layers._ARCHITECTURES.items():
        room = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
        for part in layers._WAYS:
            assert issubclass(getattr(room, f"{prefix}{part}"), nn.Module)


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "score"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_fit_in_bfloat16_has_them(encoders, tmp_path, computed, kind, precision):
    trainer = make_trainer(tmp_path, precision=precision, max_steps=2, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(make_module(kind, encoders("bert")), make_data(kind))
    assert len(computed) == (0 if precision == "32-true" else 2 * 8)
