"""What a teacher's layers are compared by, against formulas in float64."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, BertConfig

from lightning_clf.batch import Batch
from lightning_clf.distillation.layers import LayerLoss, Seen, followed, watching
from tests.tiny import ARCHITECTURES
from tests.training import complaint


def config(layers=2, size=4, heads=2, dropout=0.0):
    return BertConfig(
        num_hidden_layers=layers, hidden_size=size, num_attention_heads=heads, attention_probs_dropout_prob=dropout
    )


def test_layers_follow_evenly_and_the_last_the_last():
    assert followed(3, 6) == [2, 4, 6]
    assert followed(4, 12) == [3, 6, 9, 12]  # TinyBERT's
    assert followed(4, 6) == [2, 3, 5, 6]
    assert followed(2, 2) == [1, 2]
    assert followed(1, 6) == [6]


def seen(layers, size, seed, heads=2):
    """Hidden states and attention of three windows of four subwords."""
    generator = torch.Generator().manual_seed(seed)
    hidden = [torch.randn(3, 4, size, generator=generator) for _ in range(layers + 1)]
    attention = torch.randn(3, heads, 4, 4, generator=generator).softmax(-1)
    return Seen([SimpleNamespace(hidden_states=hidden, attentions=(None, attention))])


MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
BATCH = Batch(
    inputs={"attention_mask": MASK}, example_ids=torch.arange(2), window_to_example=torch.tensor([0, 1, 1])
)  # the second text has two windows
SUBWORDS = {0: [(0, 0), (0, 1), (0, 2)], 1: [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]}


def test_hidden_states():
    ours, theirs = seen(2, 4, 0), seen(4, 4, 1)
    loss = LayerLoss(config(2), config(4), 3.0, 0.0)
    assert not list(loss.parameters())
    for number, value in enumerate(loss(ours, theirs, BATCH).tolist()):
        terms = [
            (a - b) ** 2
            for layer, other in ((1, 2), (2, 4))
            for window, place in SUBWORDS[number]
            for a, b in zip(
                ours.hidden(layer)[window, place].tolist(), theirs.hidden(other)[window, place].tolist(), strict=True
            )
        ]
        assert value == pytest.approx(3.0 * sum(terms) / len(terms), rel=1e-5)


def test_hidden_states_of_another_width():
    loss = LayerLoss(config(2, size=4), config(2, size=6), 1.0, 0.0)
    assert loss.projection.weight.shape == (6, 4)
    ours, theirs = seen(2, 4, 0), seen(2, 6, 1)
    with torch.no_grad():
        wide = Seen(
            [SimpleNamespace(hidden_states=[h @ loss.projection.weight.T for h in ours.outputs[0].hidden_states])]
        )
        same = LayerLoss(config(2, size=6), config(2, size=6), 1.0, 0.0)(wide, theirs, BATCH)
    found = loss(ours, theirs, BATCH)
    torch.testing.assert_close(found, same)
    found.sum().backward()
    assert loss.projection.weight.grad.abs().sum() > 0


def test_attention_of_the_last_layer():
    ours, theirs = seen(2, 4, 0), seen(2, 4, 1)
    loss = LayerLoss(config(), config(), 0.0, 2.0)
    for number, value in enumerate(loss(ours, theirs, BATCH).tolist()):
        terms = [
            torch.nn.functional.kl_div(
                ours.attention()[window, head, place].double().log(),
                theirs.attention()[window, head, place].double(),
                reduction="sum",
            ).item()
            for head in range(2)
            for window, place in SUBWORDS[number]
        ]
        assert value == pytest.approx(2.0 * sum(terms) / len(terms), rel=1e-5)
    assert loss(ours, ours, BATCH).abs().max() < 1e-6


def test_attention_that_cannot_be_compared():
    assert complaint(lambda: LayerLoss(config(heads=2), config(heads=4), 0.0, 1.0)) == (
        "model.distillation.attention_weight compares 2 heads with the teacher's 4: leave it out"
    )
    assert "set attention_probs_dropout_prob: 0.0 in model.encoder_options" in complaint(
        lambda: LayerLoss(config(dropout=0.1), config(), 0.0, 1.0)
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("auto", [AutoModelForSequenceClassification, AutoModelForTokenClassification])
def test_every_architecture_is_seen_as_it_says_itself(architecture, auto):
    torch.manual_seed(0)
    config = ARCHITECTURES[architecture]()[0]
    config.pad_token_id = config.pad_token_id or 0
    model = auto.from_config(config, attn_implementation="eager").eval()
    inputs = {"input_ids": torch.arange(5, 17).view(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.int64)}
    with torch.inference_mode():
        with watching(model, attention=True) as seen:
            for part in (slice(0, 1), slice(1, 2)):
                logits = model(**{name: value[part] for name, value in inputs.items()}, return_dict=True).logits
        expected = model(**inputs, output_hidden_states=True, output_attentions=True)
    layers = model.config.num_hidden_layers
    for place in range(layers + 1):
        torch.testing.assert_close(seen.hidden(place), expected.hidden_states[place])
    torch.testing.assert_close(seen.attention(), expected.attentions[-1])
    torch.testing.assert_close(logits, expected.logits[1:])
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
