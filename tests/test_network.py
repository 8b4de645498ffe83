"""An encoder with a head: what is loaded, what is new, and what every weight is there for."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lightning_clf import LabelSpace
from lightning_clf.encoding import Collator, load_tokenizer
from lightning_clf.heads import ArchitectureHead, LinearHead
from lightning_clf.inference.inputs import Inputs
from lightning_clf.network import Network, quiet_transformers
from tests.tiny import ARCHITECTURES
from tests.training import ROWS, complaint, make_module

LABELS = LabelSpace.of(["bad", "fine", "good"], "single")


def make(folder, head=None, labels=LABELS, **options) -> Network:
    return Network.from_pretrained(
        str(folder), head or ArchitectureHead(), labels, load_tokenizer(str(folder)), **options
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("head", [ArchitectureHead, LinearHead])
def test_every_weight_has_a_gradient(architecture, head, encoders):  # DDP refuses those that have none
    module = make_module("single", encoders(architecture), head=head(), labels=LABELS.to_dict())
    module.max_length = 60
    module.build()
    inputs = Inputs(module.artefact, {})
    encoded = inputs.encode([inputs.read(row, "") for row in ROWS["single"]])
    module.network(Collator(module.tokenizer, LABELS)(encoded)).square().sum().backward()
    assert [name for name, weight in module.network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize(("names", "kept"), [(("a", "b", "c"), True), (("a", "b"), False)])
def test_a_head_for_another_number_of_labels_is_made_anew(names, kept, encoders, tmp_path):
    saved = AutoModelForSequenceClassification.from_pretrained(encoders("bert"), num_labels=3)
    saved.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoders("bert")).save_pretrained(tmp_path)
    network = make(tmp_path, labels=LabelSpace.of(names, "single"))
    assert network.encoder.classifier.out_features == len(names)
    assert kept == (network.encoder.classifier.weight.shape == (3, 16)
                    and torch.equal(network.encoder.classifier.weight, saved.classifier.weight))  # fmt: skip
    body = network.encoder.bert.encoder.state_dict()
    assert all(torch.equal(value, body[name]) for name, value in saved.bert.encoder.state_dict().items())


@pytest.mark.parametrize(("labels", "problem"), [
    (LABELS, "single_label_classification"),
    (LabelSpace.of(["a", "b"], "multi"), "multi_label_classification"),
    (LabelSpace.score(0, 1), "regression"),
    (LabelSpace.tags(["X"], "IOB2"), None),
])  # fmt: skip
def test_the_configuration_names_labels_and_problem(labels, problem, encoders):
    config = make(encoders("bert"), labels=labels).config
    assert list(config.id2label.values()) == list(labels.names)
    assert config.label2id == {name: place for place, name in enumerate(labels.names)}
    assert config.num_labels == len(labels)
    assert config.problem_type == problem


def test_options_reach_the_encoder(encoders):
    network = make(encoders("bert"), encoder_options={"hidden_dropout_prob": 0.25})
    assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)} >= {0.25}
    assert network.config.hidden_dropout_prob == 0.25


def test_a_description_makes_the_same_network(encoders):
    network = make(encoders("deberta-v2"), LinearHead("mean"))
    copy = Network.from_config(network.config.to_dict(), LinearHead("mean"), LABELS)
    assert {name: value.shape for name, value in copy.state_dict().items()} == {
        name: value.shape for name, value in network.state_dict().items()
    }
    assert copy.training


@pytest.mark.parametrize(("labels", "said"), [
    (("bad", "fine"), "label 2 is 'good' in the encoder's configuration, and None in the labels"),
    (("bad", "fine", "great"), "label 2 is 'good' in the encoder's configuration, and 'great' in the labels"),
    (("bad", "fine", "good", "x"), "label 3 is None in the encoder's configuration, and 'x' in the labels"),
])  # fmt: skip
def test_a_description_of_other_labels_than_its_configuration(labels, said, encoders):
    config = make(encoders("bert")).config.to_dict()
    with pytest.raises(ValueError, match=f"^{said}$"):
        Network.from_config(config, ArchitectureHead(), LabelSpace.of(labels, "single"))


def test_a_description_of_another_kind_than_its_configuration(encoders):
    config = make(encoders("bert")).config.to_dict()
    with pytest.raises(ValueError, match="labels of kind multi stand with the problem_type 'single_label_class"):
        Network.from_config(config, ArchitectureHead(), LabelSpace.of(LABELS.names, "multi"))


def test_a_description_brings_no_code(encoders, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it was asked whether to run it"))
    config = {**make(encoders("bert")).config.to_dict(), "model_type": "vit"}  # one without a head for texts
    config["auto_map"] = {"AutoModelForSequenceClassification": "evil.Model"}
    with pytest.raises(ValueError, match="contains custom code"):
        Network.from_config(config, ArchitectureHead(), LABELS)


def test_a_folder_with_damaged_weights(encoders, tmp_path):
    for file in encoders("bert").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    said = f"encoder {str(tmp_path)!r} cannot be loaded under ArchitectureHead ("
    remedy = "): save the encoder again with save_pretrained, or choose another"
    message = complaint(lambda: make(tmp_path))
    assert message.startswith(f"{said}SafetensorError: Error while deserializing header")
    assert message.endswith(remedy)
    weights.unlink()
    message = complaint(lambda: make(tmp_path))
    assert message.startswith(said)
    assert message.endswith(remedy)


@pytest.mark.parametrize(("content", "said"), [
    (b"hello", "cannot be loaded under ArchitectureHead (KeyError: 101): save the encoder again"),
    (b"", "cannot be loaded under ArchitectureHead (EOFError): save the encoder again"),
    (pickle.dumps({"a": 1}), "has weights in a pickle that holds more than tensors, or is damaged: it was not read"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_folder_whose_weights_are_none(content, said, encoders, tmp_path):
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    message = complaint(lambda: make(folder))
    assert message.startswith(f"encoder {str(folder)!r} {said}")
    assert "save the encoder again with save_pretrained" in message


@pytest.mark.parametrize("head", [ArchitectureHead, LinearHead])
@pytest.mark.parametrize(("setting", "said"), [({"hidden_act": "nope"}, "KeyError: 'nope'"), ({"hidden_size": -1}, "")])
def test_a_folder_with_a_setting_no_encoder_can_take(head, setting, said, encoders, tmp_path):
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | setting))
    message = complaint(lambda: make(folder, head()))
    assert message.startswith(f"encoder {str(folder)!r} cannot be loaded under {head.__name__} ({said}")
    assert message.endswith("): save the encoder again with save_pretrained, or choose another")


def test_a_configuration_of_no_known_architecture(encoders, tmp_path):
    for file in encoders("bert").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = load_tokenizer(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "nonesuch"}')
    message = complaint(lambda: Network.from_pretrained(str(tmp_path), ArchitectureHead(), LABELS, tokenizer))
    assert message.startswith(f"encoder {str(tmp_path)!r} has a config.json that transformers cannot read (")


def test_transformers_are_only_quiet_while_told_to_be():
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    with contextlib.suppress(ZeroDivisionError), quiet_transformers():
        assert transformers_logging.get_verbosity() == transformers_logging.ERROR
        assert not transformers_logging.is_progress_bar_enabled()
        raise ZeroDivisionError
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("head", [ArchitectureHead, LinearHead])
@pytest.mark.parametrize(
    "options",
    [{"intermediate_size": 64}, {"num_hidden_layers": 4}, {"type_vocab_size": 5}],
    ids=str,
)
def test_an_option_that_would_leave_weights_random_is_refused(head, options, encoders):
    message = complaint(lambda: make(encoders("bert"), head(), encoder_options=options))
    assert "does not hold the weights its configuration asks for: " in message
    assert "correct encoder_options, or save the encoder again" in message


def test_fewer_layers_may_be_asked_for(encoders):
    assert make(encoders("bert"), encoder_options={"num_hidden_layers": 1}).config.num_hidden_layers == 1


def test_weights_under_other_names_are_refused(encoders, tmp_path):
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    weights = {f"other.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "does not hold the weights its configuration asks for" in complaint(lambda: make(folder))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden_act": "nope"}, "cannot be loaded with encoder_options {'hidden_act': 'nope'}"),
        ({"num_labels": 7}, "encoder_options has 'num_labels', which follows from the labels of the data"),
        ({"hidden_dropout_prob": "much"}, "cannot be loaded with encoder_options"),
    ],
)
def test_an_option_an_encoder_cannot_take(options, said, encoders):
    assert said in complaint(lambda: make(encoders("bert"), encoder_options=options))


def test_an_encoder_with_code_of_its_own(encoders, tmp_path):
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mybert", "auto_map": {"AutoConfig": "mine.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    tokenizer = load_tokenizer(str(encoders("bert")))
    message = complaint(lambda: Network.from_pretrained(str(folder), ArchitectureHead(), LABELS, tokenizer))
    assert "brings code of its own, which is not run: choose one whose architecture is in transformers" in message
