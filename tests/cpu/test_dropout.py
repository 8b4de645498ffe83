"""Cheap masks are dropout: the rate, the scale, the gradients, and attention that is PyTorch's own."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import nn
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from lightning_clf import SingleLabelClassifier, dropout
from lightning_clf.dropout import cheap_dropout
from tests.tiny import ARCHITECTURES
from tests.training import make_data, make_trainer

CPU = torch.device("cpu")


class Checkpointed(SingleLabelClassifier):
    """A module whose encoder keeps few activations."""

    def build(self):
        super().build()
        self.network.encoder.gradient_checkpointing_enable()


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_rate_and_scale(p):
    inputs = torch.rand(1000, 1003) + 1
    with cheap_dropout(CPU):
        outputs = functional.dropout(inputs, p)
    dropped = outputs == 0
    deviation = math.sqrt(p * (1 - p) / inputs.numel())
    assert abs(dropped.float().mean().item() - p) < 5 * deviation + 2**-17
    # no lane, row or column of the draw is favoured
    for part in (dropped[:, 0::4], dropped[:, 1::4], dropped[:, 2::4], dropped[:, 3::4], dropped[:7], dropped[:, :7]):
        assert abs(part.float().mean().item() - p) < 5 * math.sqrt(p * (1 - p) / part.numel()) + 2**-17
    torch.testing.assert_close(outputs[~dropped], inputs[~dropped] / (1 - p), rtol=1e-4, atol=0)


def test_elements_are_dropped_independently():
    with cheap_dropout(CPU):
        dropped = (functional.dropout(torch.ones(4_000_000), 0.1) == 0).float() - 0.1
    for lag in (1, 2, 3, 4, 8, 384):
        covariance = (dropped[lag:] * dropped[:-lag]).mean().item()
        assert abs(covariance) < 5 * 0.09 / math.sqrt(4_000_000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_go_where_values_went(dtype):
    inputs = torch.ones(50, 70, dtype=dtype, requires_grad=True)
    with cheap_dropout(CPU):
        outputs = functional.dropout(inputs, 0.3)
    outputs.sum().backward()
    assert outputs.dtype == dtype
    assert torch.equal(inputs.grad, outputs.detach())
    assert 0 < (outputs == 0).sum() < outputs.numel()


def test_nothing_changes_where_nothing_is_dropped():
    inputs = torch.rand(5, 5)
    with cheap_dropout(CPU):
        assert functional.dropout(inputs, 0.5, training=False) is inputs
        assert torch.equal(functional.dropout(inputs, 0.0), inputs)
        assert torch.equal(functional.dropout(inputs, 1.0), torch.zeros(5, 5))
        assert torch.equal(functional.dropout(torch.ones(0, 3), 0.5), torch.ones(0, 3))
        written = inputs.clone()
        assert functional.dropout(written, 0.5, inplace=True) is written


def test_a_seed_gives_the_same_mask():
    def drawn(seed):
        torch.manual_seed(seed)
        with cheap_dropout(CPU):
            return nn.Dropout(0.5)(torch.ones(100))

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_other_devices_keep_their_own():
    with cheap_dropout(torch.device("cuda")):
        torch.manual_seed(0)
        outputs = functional.dropout(torch.ones(100), 0.5)
    torch.manual_seed(0)
    assert torch.equal(outputs, functional.dropout(torch.ones(100), 0.5))


MASKS = {
    "none": None,
    "bool": torch.tensor([[True, True, False, True, False]]).expand(5, 5)[None, None],
    "float": torch.linspace(-3, 3, 25).view(1, 1, 5, 5),
}


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_that_of_pytorch_when_every_weight_is_kept(mask, scale, monkeypatch):
    monkeypatch.setattr(dropout, "kept", lambda like, p: torch.ones_like(like))
    results = []
    for p in (0.0, 0.5):
        torch.manual_seed(0)
        given = [torch.randn(2, 3, 5, 8, requires_grad=True) for _ in range(3)]
        with cheap_dropout(CPU):
            output = functional.scaled_dot_product_attention(*given, attn_mask=MASKS[mask], dropout_p=p, scale=scale)
        output.square().sum().backward()
        results.append([output.detach(), *(tensor.grad for tensor in given)])
    torch.testing.assert_close(results[0], results[1], atol=2e-5, rtol=1e-4)


def test_attention_drops_weights_and_keeps_their_mean():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 1, 4, 8).expand(20_000, 1, 4, 8) for _ in range(3))
    expected = functional.scaled_dot_product_attention(query[:1], key[:1], value[:1])
    with cheap_dropout(CPU):
        outputs = functional.scaled_dot_product_attention(query, key, value, dropout_p=0.1)
    assert not torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs.mean(0), expected[0], atol=0.02, rtol=0)


def test_a_row_that_may_attend_to_nothing_is_no_nan():
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    mask[..., 1, :] = False
    given = [torch.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3)]
    with cheap_dropout(CPU):
        output = functional.scaled_dot_product_attention(*given, attn_mask=mask, dropout_p=0.1)
    output.sum().backward()
    assert all(tensor.isfinite().all() for tensor in (output, *(tensor.grad for tensor in given)))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_decoders_is_left_to_pytorch(causal):
    query, key = torch.randn(1, 4, 3, 8), torch.randn(1, 2, 3, 8)
    results = []
    for context in (cheap_dropout(CPU), cheap_dropout(torch.device("cuda"))):
        torch.manual_seed(0)
        with context:
            results.append(
                functional.scaled_dot_product_attention(
                    query, key, key, dropout_p=0.5, is_causal=causal, enable_gqa=True
                )
            )
    assert torch.equal(*results)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture(architecture, encoders):
    model = AutoModelForSequenceClassification.from_pretrained(encoders(architecture))
    model.config.pad_token_id = 0
    inputs = {"input_ids": torch.arange(5, 25).view(2, 10), "attention_mask": torch.ones(2, 10, dtype=torch.long)}
    inputs["attention_mask"][1, 6:] = 0

    def scores():
        return model(**inputs).logits

    model.eval()
    plain = scores()
    with cheap_dropout(CPU):
        torch.testing.assert_close(scores(), plain)
        model.train()
        first, second = scores(), scores()
    assert not torch.equal(first, second)
    assert first.isfinite().all()


def test_checkpointed_activations_are_computed_again_with_the_same_masks(encoders, tmp_path, monkeypatch):
    weights = []
    for module in (Checkpointed, SingleLabelClassifier):
        seed_everything(0, verbose=False)
        model = module(str(encoders("bert")), learning_rate=1e-3)
        make_trainer(tmp_path, num_sanity_val_steps=0).fit(model, make_data("single"))
        weights.append(model.state_dict())
        monkeypatch.setattr("lightning_clf.modules.base.cheap_dropout", lambda device: contextlib.nullcontext())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, msg=name)
