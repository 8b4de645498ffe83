"""Trainable counts and rates by depth against figures worked out from the sizes, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification

from lightning_clf.component import from_spec
from lightning_clf.finetuning import FineTuning, LoRA, adamw
from tests.tiny import ARCHITECTURES, POSITIONS
from tests.training import complaint

H, INNER, C = 16, 32, 3
LINEAR, NORM = H * H + H, 2 * H


def sizes(architecture: str, vocabulary: int) -> list[int]:
    """Parameters by depth: embeddings, two layers, and what is above."""
    bert_layer = 4 * LINEAR + (H * INNER + INNER) + (INNER * H + H) + 2 * NORM
    head = LINEAR + (H * C + C)
    wide = 3072  # DistilBERT calls its inner size otherwise, and the tiny one is left with the default
    distilbert_layer = 4 * LINEAR + (H * wide + wide) + (wide * H + H) + 2 * NORM
    # without biases, and the first layer has no norm before attention
    modernbert_layer = 3 * H * H + H * H + H + H * 2 * INNER + INNER * H
    buckets = 2 * 8
    return {
        "bert": [(vocabulary + POSITIONS + 2) * H + NORM, bert_layer, bert_layer, head],
        "distilbert": [(vocabulary + POSITIONS) * H + NORM, distilbert_layer, distilbert_layer, head],
        "deberta-v2": [
            (vocabulary + POSITIONS) * H + NORM + buckets * H, bert_layer + 2 * LINEAR, bert_layer + 2 * LINEAR, head
        ],
        "modernbert": [vocabulary * H + H, modernbert_layer, modernbert_layer + H, H + H * H + H + (H * C + C)],
    }[architecture]  # fmt: skip


def build(architecture):
    config, _ = ARCHITECTURES[architecture]()
    config.num_labels = C
    return AutoModelForSequenceClassification.from_config(config).train(), config.vocab_size


def counted(policy, model):
    """Parameters and rates by depth, and what decays, as the optimiser has it."""
    groups = adamw(model, 1e-3, 0.1, policy.groups(model, model, 1e-3, 0.1)).param_groups
    by_depth = {}
    for group in groups:
        number, rates = by_depth.get(group["depth"], (0, set()))
        by_depth[group["depth"]] = number + sum(one.numel() for one in group["params"]), rates | {group["lr"]}
        assert all((one.ndim >= 2) == (group["weight_decay"] == 0.1) for one in group["params"])
        assert group["weight_decay"] in (0.1, 0.0)
    grouped = [id(one) for group in groups for one in group["params"]]
    assert sorted(grouped) == sorted(id(one) for one in model.parameters() if one.requires_grad)
    return {depth: (number, *rates) for depth, (number, rates) in by_depth.items()}


MEASURED = ["bert", "distilbert", "deberta-v2", "modernbert"]


@pytest.mark.parametrize("architecture", MEASURED)
@pytest.mark.parametrize(("options", "lowest"), [
    ({}, 0), ({"freeze": "embeddings"}, 1), ({"freeze_layers": 1}, 2), ({"freeze_layers": 2}, 3),
    ({"freeze": "encoder"}, 3), ({"freeze": "embeddings", "freeze_layers": 1}, 2), ({"unfreeze_over": 0.5}, 0),
])  # fmt: skip
def test_what_is_frozen_for_good_is_in_no_group(architecture, options, lowest):
    model, vocabulary = build(architecture)
    policy = FineTuning(**options)
    policy.prepare(model)
    expected = {depth: (number, 1e-3) for depth, number in enumerate(sizes(architecture, vocabulary))}
    assert counted(policy, model) == {depth: value for depth, value in expected.items() if depth >= lowest}
    total = sum(sizes(architecture, vocabulary))
    moving = sum(sizes(architecture, vocabulary)[lowest:])
    first = policy.describe(model, model, 1e-3).splitlines()[0]
    assert first == f"FineTuning: {moving:,} of {total:,} parameters are trainable ({moving / total:.2%})"


@pytest.mark.parametrize("architecture", MEASURED)
def test_rates_by_depth(architecture):
    model, vocabulary = build(architecture)
    numbers = sizes(architecture, vocabulary)
    rates = [1e-3 * 0.5**3, 1e-3 * 0.5**2, 1e-3 * 0.5, 1e-3]
    assert counted(FineTuning(layer_decay=0.5), model) == dict(enumerate(zip(numbers, rates, strict=True)))
    policy = FineTuning(layer_decay=0.5, freeze_layers=1, head_learning_rate=0.1)
    policy.prepare(model)
    assert counted(policy, model) == {2: (numbers[2], 5e-4), 3: (numbers[3], 0.1)}
    assert policy.describe(model, model, 1e-3).splitlines()[1:] == [
        "learning rate by depth:",
        "  head       0.1",
        "  layer 1    0.0005",
    ]


def test_layers_that_are_one_are_one_depth():
    model, _ = build("albert")
    assert {depth: rate for depth, (_, rate) in counted(FineTuning(layer_decay=0.5), model).items()} == {
        0: 2.5e-4, 1: 5e-4, 2: 1e-3
    }  # fmt: skip


def test_a_loss_with_parameters_moves_with_the_head():
    model, _ = build("bert")
    module = nn.ModuleList([model, nn.Linear(2, 2)])
    groups = FineTuning(layer_decay=0.5, head_learning_rate=0.1).groups(module, model, 1e-3, 0.0)
    assert {group["lr"] for group in groups for one in group["params"] if one.shape == (2, 2)} == {0.1}


@pytest.mark.parametrize("architecture", MEASURED)
def test_nothing_is_computed_backward_below_the_lowest_that_moves(architecture):
    model, _ = build(architecture)
    FineTuning(freeze_layers=1).prepare(model)
    seen = {}
    layers = next(part for part in model.base_model.modules() if isinstance(part, nn.ModuleList))
    for index, layer in enumerate(layers):
        layer.register_forward_hook(
            lambda _, __, output, index=index: seen.__setitem__(
                index, (output[0] if isinstance(output, tuple) else output).requires_grad
            )
        )
    model(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert seen == {0: False, 1: True}
    assert {name for name, one in model.named_parameters() if one.grad is not None} == {
        name for name, one in model.named_parameters() if one.requires_grad
    }


def test_what_is_frozen_for_good_draws_no_dropout_and_what_waits_does():
    model, _ = build("bert")
    policy = FineTuning(freeze_layers=1, unfreeze_over=0.5)
    policy.prepare(model)
    policy.settle(model)
    body = model.base_model
    assert not any(part.training for one in (body.embeddings, body.encoder.layer[0]) for part in one.modules())
    assert all(part.training for part in body.encoder.layer[1].modules())
    assert model.dropout.training


def test_unfreezing_by_the_step():
    policy = FineTuning(unfreeze_over=0.6)
    # 10 steps, 6 of them over 3 depths: one more every 2
    assert [policy.unfrozen(3, step, 10) for step in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]
    assert [FineTuning(unfreeze_over=1.0).unfrozen(2, step, 3) for step in range(4)] == [0, 0, 1, 2]
    assert FineTuning(unfreeze_over=0.01).unfrozen(3, 0, 10) == 3  # no step is that short
    model, _ = build("bert")
    policy.prepare(model)
    body, moving = model.base_model, []
    for step in range(10):
        policy.advance(model, step, 10)
        parts = [body.embeddings, *body.encoder.layer, body.pooler, model.classifier]
        states = [{one.requires_grad for one in part.parameters()} for part in parts]
        assert all(len(state) == 1 for state in states)
        moving.append("".join(str(int(state.pop())) for state in states))
    assert moving == ["00011", "00011", "00111", "00111", "01111", "01111", "11111", "11111", "11111", "11111"]
    policy.advance(model, 2, 10)  # a function of the step, not of the steps before
    assert [one.requires_grad for one in body.encoder.layer[0].parameters()] == [False] * 16


def test_unfreezing_stops_at_what_is_frozen_for_good():
    model, _ = build("bert")
    policy = FineTuning(freeze_layers=1, unfreeze_over=1.0)
    policy.prepare(model)
    policy.advance(model, 10, 10)
    assert not any(one.requires_grad for one in model.base_model.encoder.layer[0].parameters())
    assert all(one.requires_grad for one in model.base_model.encoder.layer[1].parameters())


@pytest.mark.parametrize(("make", "said"), [
    (lambda: FineTuning(freeze="layers"), "freeze is 'layers': give one of nothing, embeddings, encoder"),
    (lambda: FineTuning(freeze_layers=-1), "freeze_layers is -1: give 0 or more"),
    (lambda: FineTuning(layer_decay=0.0), "layer_decay is 0: give a number above 0 and at most 1"),
    (lambda: FineTuning(layer_decay=1.5), "layer_decay is 1.5: give a number above 0 and at most 1"),
    (lambda: FineTuning(head_learning_rate=0.0), "head_learning_rate is 0: give a number above 0"),
    (lambda: FineTuning(unfreeze_over=1.5), "unfreeze_over is 1.5: give a number from 0 to 1"),
    *((lambda key=key, value=value: FineTuning("encoder", **{key: value}),
       f"{key} is given, but freeze: encoder leaves no layer to apply it to: leave one out")
      for key, value in {"freeze_layers": 1, "layer_decay": 0.5, "unfreeze_over": 0.5}.items()),
    (lambda: FineTuning(freeze_layers=3).prepare(build("bert")[0]),
     "freeze_layers is 3, but the encoder has 2 to freeze: give 2 or less"),
    (lambda: LoRA(rank=0), "rank is 0: give 1 or more"),
    (lambda: LoRA(alpha=0.0), "alpha is 0: give a number above 0"),
    (lambda: LoRA(dropout=2.0), "dropout is 2: give a number from 0 to 1"),
    (lambda: LoRA(target_modules=[]),
     "target_modules names no layer: name one, such as query, or leave it out to adapt all"),
    (lambda: LoRA(target_modules=["query", "velue"]).prepare(build("bert")[0]),
     "target_modules has 'velue', which is no linear layer of the encoder: use query, key, value, dense"),
])  # fmt: skip
def test_what_is_refused(make, said):
    assert complaint(make) == said


def test_unfreezing_after_a_head_that_does_not_move():
    config, _ = ARCHITECTURES["bert"]()
    encoder = AutoModel.from_config(config, add_pooling_layer=False)
    head = nn.Linear(H, C)
    module = nn.ModuleList([encoder, head])
    assert FineTuning(unfreeze_over=0.5).groups(module, encoder, 1e-3, 0.0)
    head.requires_grad_(False)
    assert FineTuning().groups(module, encoder, 1e-3, 0.0)
    assert complaint(lambda: FineTuning(unfreeze_over=0.5).groups(module, encoder, 1e-3, 0.0)) == (
        "unfreeze_over trains the head alone at first, but nothing of it is trained: leave it out, or take a head that "
        "is"
    )


def test_a_policy_is_made_again_from_its_specification():
    again = from_spec(FineTuning(freeze_layers=1, layer_decay=0.9).spec(), FineTuning)
    assert (again.freeze_layers, again.layer_decay) == (1, 0.9)
