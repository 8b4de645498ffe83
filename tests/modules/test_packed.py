"""A fit without padding learns what one with padding does, and what it leaves knows nothing of it."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import seed_everything

from lightning_clf import SingleLabelClassifier, load_classifier
from lightning_clf.cpu.unlearned_attention import ATTENTION as UNLEARNED
from lightning_clf.finetuning import LoRA
from lightning_clf.heads import CRFHead, LinearHead
from lightning_clf.packing import ATTENTION
from tests.modules.test_resumption import assert_same as assert_same_bits
from tests.modules.test_resumption import fit
from tests.training import NO_DROPOUT, ROWS, assert_same_answers, complaint, make_data, make_module, make_trainer

EPOCHS = 2


def fitted(encoder, folder, kind="single", *, precision="32-true", options=NO_DROPOUT, **more):
    """A module after two epochs without dropout."""
    seed_everything(3, verbose=False)
    module = make_module(kind, encoder, encoder_options=options, learning_rate=1e-3, **more)
    trainer = make_trainer(folder, max_epochs=EPOCHS, precision=precision)
    trainer.fit(module, make_data(kind, batch_size=3))
    return module


def assert_close(one, other):
    assert other.keys() == one.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            other[name], value, atol=2e-5, rtol=1e-4, msg=lambda said, name=name: f"{name} {said}"
        )


MODERN = {"attention_dropout": 0.0, "embedding_dropout": 0.0, "mlp_dropout": 0.0}


@pytest.mark.parametrize(
    ("kind", "architecture", "options"),
    [
        ("single", "bert", {}),
        ("single", "bert", {"head": LinearHead(dropout=0.0)}),
        ("single", "bert", {"head": LinearHead(pooling="mean", dropout=0.0)}),
        ("single", "bert", {"head": LinearHead(pooling="max", dropout=0.0)}),
        ("single", "bert", {"head": LinearHead(pooling="attention", dropout=0.0)}),
        ("single", "bert", {"head": LinearHead(pooling="last", dropout=0.0)}),
        ("single", "bert", {"finetuning": LoRA(rank=2)}),
        ("single", "bert", {"r_drop": 1.0}),
        ("multi", "roberta", {}),
        ("score", "bert", {}),  # pairs, of two segments
        ("tags", "bert", {}),
        ("tags", "electra", {"head": LinearHead(dropout=0.0)}),
        ("tags", "bert", {"head": LinearHead(pooling="mean", dropout=0.0)}),
        ("tags", "bert", {"head": LinearHead(dropout=0.0), "train_continuations": True}),
        ("tags", "bert", {"head": CRFHead(dropout=0.0)}),
        ("single", "modernbert", {"options": MODERN}),
        ("tags", "modernbert", {"options": MODERN}),
    ],
)
def test_the_same_is_learned(kind, architecture, options, encoders, tmp_path):
    plain, packed = (
        fitted(encoders(architecture), tmp_path, kind, packed=packed, **options) for packed in (False, True)
    )
    assert packed.network.config._attn_implementation == ATTENTION != plain.network.config._attn_implementation
    assert_close(plain.state_dict(), packed.state_dict())


def test_what_it_leaves_knows_nothing_of_it(encoders, tmp_path):
    module = fitted(encoders("bert"), tmp_path, packed=True)
    module.trainer.save_checkpoint(tmp_path / "one.ckpt")
    module.artefact.save(tmp_path / "packed")
    loaded = SingleLabelClassifier.load_from_checkpoint(tmp_path / "one.ckpt")
    assert loaded.network.config._attn_implementation == UNLEARNED
    loaded.artefact.save(tmp_path / "plain")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    texts = [{"text": row["text"]} for row in ROWS["single"]]
    answers = load_classifier(tmp_path / "packed").predict(texts)
    assert_same_answers(load_classifier(tmp_path / "one.ckpt").predict(texts), answers)
    # a fit that goes on is packed again, as the checkpoint says
    make_trainer(tmp_path, max_epochs=EPOCHS + 1).fit(loaded, make_data("single"), ckpt_path=tmp_path / "one.ckpt")
    assert loaded.network.config._attn_implementation == ATTENTION


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_goes_on_bit_for_bit(precision, encoders, tmp_path):
    options = {"model": {"packed": True}, "precision": precision}
    weights, metrics, seen = fit(encoders, tmp_path / "whole", save=True, **options)
    step = len(seen) // 2
    rest = fit(encoders, tmp_path / "rest", tmp_path / "whole" / f"step{step}.ckpt", seed=5, **options)
    assert rest[2] == seen[step:]
    assert_same_bits(rest[0], weights)
    assert rest[1] == metrics


def test_a_second_fit_changes_nothing_twice(encoders, tmp_path):
    module = fitted(encoders("bert"), tmp_path, packed=True)
    hooks = len(module.network.encoder._forward_pre_hooks)
    make_trainer(tmp_path).fit(module, make_data("single"))
    assert len(module.network.encoder._forward_pre_hooks) == hooks


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"compile": True},
            "model.packed gives every batch a length of its own, for which model.compile would compile anew: leave one "
            "of them out",
        ),
        (
            {"attn_implementation": "eager"},
            "model.packed has its own attention, and model.attn_implementation is 'eager': leave one of them out",
        ),
    ],
)
def test_what_it_does_not_go_with(options, said):
    assert complaint(lambda: SingleLabelClassifier("encoder", packed=True, **options)) == said


def test_another_architecture_is_refused_before_training(encoders, tmp_path):
    module = make_module("single", encoders("deberta-v2"), packed=True)
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single")))
    assert message.startswith("model.packed is not for deberta-v2 as this encoder has it: leave it out, or choose")
