"""How a step is computed is a choice that changes no result: attention, and a compiled encoder."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import seed_everything
from torch._dynamo.utils import counters

from lightning_clf import SingleLabelClassifier
from lightning_clf.cpu.unlearned_attention import ATTENTION
from tests.tiny import CORPUS
from tests.training import NO_DROPOUT, complaint, make_data, make_module, make_trainer

LENGTHS = [" ".join(CORPUS[place % 8].split() * (1 + place % 3)) for place in range(24)]
ROWS = [{"text": text, "label": ("bad", "fine", "good")[place % 3]} for place, text in enumerate(LENGTHS)]


def fitted(encoder, folder, **options):
    """A module after an epoch over texts of several lengths, without dropout."""
    seed_everything(3)
    module = make_module("single", encoder, encoder_options=NO_DROPOUT, learning_rate=1e-3, **options)
    make_trainer(folder).fit(module, make_data("single", ROWS, pad_to_multiple_of=8))
    return module


@pytest.mark.parametrize("options", [{"attn_implementation": "eager"}, {"compile": True}], ids=["eager", "compile"])
def test_the_same_is_learned(options, encoders, tmp_path):
    counters.clear()
    plain, other = fitted(encoders("bert"), tmp_path), fitted(encoders("bert"), tmp_path, **options)
    assert bool(counters["stats"]["unique_graphs"]) == ("compile" in options)
    if "compile" in options:
        # one for the first shape and one for all, training and evaluation
        assert counters["stats"]["unique_graphs"] <= 4
    else:
        assert other.network.config._attn_implementation == "eager" != plain.network.config._attn_implementation
    wanted = plain.state_dict()
    assert other.state_dict().keys() == wanted.keys()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(
            value, wanted[name], atol=2e-5, rtol=1e-4, msg=lambda said, name=name: f"{name} {said}"
        )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sdpaa", "model.attn_implementation 'sdpaa' cannot be used"),
        ("flash_attention_2", "model.attn_implementation 'flash_attention_2' cannot be used"),
        ("someone/kernel", "names code on the hub, which is not run"),
    ],
)
def test_attention_that_is_not_to_be_had(name, said, encoders, tmp_path):
    module = make_module("single", encoders("bert"), attn_implementation=name)
    message = complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single")))
    assert said in message
    assert "attn_implementation" in message


def test_code_on_the_hub_is_refused_for_a_checkpoint_too(encoders, tmp_path):
    fitted(encoders("bert"), tmp_path).trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = SingleLabelClassifier.load_from_checkpoint(tmp_path / "one.ckpt", attn_implementation="someone/kernel")
    said = complaint(lambda: make_trainer(tmp_path).fit(loaded, make_data("single", ROWS)))
    assert "names code on the hub, which is not run" in said


def test_a_fit_that_goes_on_computes_attention_as_it_did(encoders, tmp_path):
    fitted(encoders("bert"), tmp_path, attn_implementation="eager").trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = SingleLabelClassifier.load_from_checkpoint(tmp_path / "one.ckpt")
    assert loaded.network.config._attn_implementation == ATTENTION  # as suits the machine it is used on
    make_trainer(tmp_path, max_epochs=2).fit(loaded, make_data("single", ROWS), ckpt_path=tmp_path / "one.ckpt")
    assert loaded.network.config._attn_implementation == "eager"
    other = SingleLabelClassifier.load_from_checkpoint(tmp_path / "one.ckpt", attn_implementation="nonsense")
    said = complaint(lambda: make_trainer(tmp_path).fit(other, make_data("single", ROWS)))
    assert "model.attn_implementation 'nonsense' cannot be used" in said
