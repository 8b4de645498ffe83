"""Calibration in the weights: logits change as they should, for every architecture, or nothing does."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, XLNetConfig

from lightning_clf import LabelSpace
from lightning_clf.artefact import load_artefact
from lightning_clf.calibration import fold
from lightning_clf.decision import Decision, Scaling
from lightning_clf.heads import ArchitectureHead, LinearHead
from lightning_clf.network import Network
from tests.tiny import ARCHITECTURES
from tests.training import make_module

LABELS = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
}
CASES = [(name, kind) for name in ARCHITECTURES for kind in LABELS if (name, kind) != ("qwen3", "tags")]
T = 1.7


def artefact_of(kind, encoder, **options):
    """An untrained network whose logits are of some size."""
    torch.manual_seed(0)
    module = make_module(kind, encoder, labels=LABELS[kind].to_dict(), **options)
    module.build()
    for weight in module.network.parameters():
        weight.data.mul_(5)
    return module.artefact


def inputs() -> dict[str, torch.Tensor]:
    ids = torch.arange(5, 35).view(3, 10)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(**inputs()).logits.double()


def vector(kind: str) -> Scaling:
    count = len(LABELS[kind])
    return Scaling(scale=tuple(0.5 + 0.3 * c for c in range(count)), bias=tuple(0.2 * c - 0.3 for c in range(count)))


@pytest.mark.parametrize(("architecture", "kind"), CASES)
def test_stock_transformers_give_calibrated_logits(architecture, kind, encoders, tmp_path):
    artefact = artefact_of(kind, encoders(architecture))
    before = logits(artefact.network.encoder)
    assert before.std() > 1e-2
    folded = fold(artefact.network, Scaling(T))
    assert folded == Scaling(T, in_weights=True)
    artefact.network.set_decision(Decision(folded))
    artefact.save(tmp_path / "export")
    auto = AutoModelForTokenClassification if kind == "tags" else AutoModelForSequenceClassification
    stock = auto.from_pretrained(tmp_path / "export", dtype=torch.float32)
    size = float(before.abs().max())
    torch.testing.assert_close(logits(stock), before / T, rtol=1e-6, atol=1e-6 * max(1, size))
    ours = load_artefact(tmp_path / "export")
    assert ours.decision.scaling == folded
    torch.testing.assert_close(logits(ours.network.encoder), before / T, rtol=1e-6, atol=1e-6 * max(1, size))


@pytest.mark.parametrize(("architecture", "kind"), CASES)
def test_vector_scaling_needs_a_bias(architecture, kind, encoders):
    network, scaling = artefact_of(kind, encoders(architecture)).network, vector(kind)
    before = logits(network.encoder)
    folded = fold(network, scaling)
    has_bias = architecture != "qwen3"  # whose last layer has none
    assert folded.in_weights is has_bias
    wanted = before * torch.tensor(scaling.scale) + torch.tensor(scaling.bias) if has_bias else before
    torch.testing.assert_close(
        logits(network.encoder), wanted, rtol=1e-6, atol=1e-6 * max(1, float(before.abs().max()))
    )


def test_xlnet():
    torch.manual_seed(0)
    config = XLNetConfig(vocab_size=64, d_model=16, n_layer=2, n_head=2, d_inner=32, pad_token_id=5)
    config.id2label = LABELS["single"].id2label
    head = ArchitectureHead()
    head.attach(config, LABELS["single"])
    network = Network(AutoModelForSequenceClassification.from_config(config), head, LABELS["single"])
    before = logits(network.encoder)
    assert fold(network, Scaling(T)).in_weights
    torch.testing.assert_close(logits(network.encoder), before / T, rtol=1e-6, atol=1e-6)


def test_a_head_of_our_own_keeps_its_weights(encoders):
    network = artefact_of("single", encoders("bert"), head=LinearHead()).network
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert fold(network, Scaling(T)) == Scaling(T)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_a_last_layer_that_is_not_the_end_keeps_its_weights(encoders):
    network = artefact_of("single", encoders("bert")).network
    network.encoder.register_forward_hook(lambda module, args, output: output | {"logits": output.logits.tanh()})
    before, training = {name: weight.clone() for name, weight in network.state_dict().items()}, network.training
    assert fold(network, Scaling(T)) == Scaling(T)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert network.training is training
