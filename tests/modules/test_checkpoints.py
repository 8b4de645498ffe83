"""A checkpoint is all that is needed, holds nothing that could run, and says plainly what is wrong with it."""

from __future__ import annotations

import pickle
import shutil
import socket
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import torch

from lightning_clf import SingleLabelClassifier, TokenClassifier, load_classifier
from lightning_clf.checkpoint import read_checkpoint
from lightning_clf.heads import ArchitectureHead
from lightning_clf.inference import Classifier
from lightning_clf.losses import FocalLoss
from lightning_clf.modules import ClassifierModule
from tests.training import ROWS, complaint, make_data, make_module, make_trainer

ROW = [*ROWS["tags"], "Anna Berg sleeps in Oslo."]


@pytest.fixture(scope="module")
def fitted(encoders, tmp_path_factory):
    """A module that was fitted in Python, its checkpoint, and what it says, from an encoder that is gone since."""
    folder = tmp_path_factory.mktemp("checkpoints")
    encoder = shutil.copytree(encoders("roberta"), folder / "encoder")
    module = make_module("tags", encoder, class_weights="sqrt_inverse", learning_rate=1e-3)
    trainer = make_trainer(folder)
    trainer.fit(module, make_data("tags"))
    trainer.save_checkpoint(folder / "one.ckpt")
    (numbers,) = trainer.test(module, make_data("tags"), verbose=False)
    shutil.rmtree(encoder)
    return module, folder / "one.ckpt", numbers


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def leaves(value):
    """Everything in nested containers that is none."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in [key, *leaves(item)]]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def test_it_holds_tensors_and_primitives_only(fitted):
    content = torch.load(fitted[1], weights_only=True)
    kinds = {type(leaf) for leaf in leaves(content)}
    assert kinds <= {torch.Tensor, str, int, float, bool, type(None)}
    assert content["state_dict"].keys() == fitted[0].state_dict().keys()


def test_it_needs_neither_network_nor_encoder_nor_arguments(fitted, no_network, tmp_path):
    module, path, numbers = fitted
    restored = TokenClassifier.load_from_checkpoint(str(path))
    torch.testing.assert_close(restored.state_dict(), module.state_dict(), atol=0, rtol=0)
    assert (restored.labels, restored.max_length, restored.columns) == (module.labels, 32, {"tokens": "tokens"})
    expected = Classifier(module.artefact).predict(ROW)
    assert Classifier(restored.artefact).predict(ROW) == expected
    assert load_classifier(path).predict(ROW) == expected
    assert make_trainer(tmp_path).test(restored, make_data("tags"), verbose=False) == [numbers]
    again = TokenClassifier.load_from_checkpoint(str(path), map_location="cpu", strict=False)
    torch.testing.assert_close(again.state_dict(), module.state_dict(), atol=0, rtol=0)


def test_a_restored_module_learns(fitted, tmp_path):
    restored = TokenClassifier.load_from_checkpoint(str(fitted[1]), learning_rate=0.01)
    assert restored.network.encoder.training
    make_trainer(tmp_path).fit(restored, make_data("tags"))
    before = fitted[0].network.state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in restored.network.state_dict().items())


def test_a_trainer_goes_on_from_it(fitted, tmp_path):
    restored = TokenClassifier.load_from_checkpoint(str(fitted[1]))
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(restored, make_data("tags"), ckpt_path=str(fitted[1]))
    assert (trainer.current_epoch, trainer.global_step) == (2, 4)


def test_the_base_class_loads_any_module(fitted):
    assert type(ClassifierModule.load_from_checkpoint(str(fitted[1]))) is TokenClassifier


def test_a_checkpoint_of_another_task(fitted):
    path = str(fitted[1])
    assert complaint(lambda: SingleLabelClassifier.load_from_checkpoint(path)) == (
        f"checkpoint {path} is of a TokenClassifier, not of a SingleLabelClassifier: load it with "
        "TokenClassifier.load_from_checkpoint"
    )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off(share, fitted, tmp_path):
    content = fitted[1].read_bytes()
    path = tmp_path / "cut.ckpt"
    path.write_bytes(content[: int(len(content) * share)])
    assert complaint(lambda: load_classifier(path)) == (
        f"checkpoint {path} is damaged or cut off: use another, such as last.ckpt"
    )


class Harm:
    def __reduce__(self):
        return (Path("harm-done").write_text, ("x",))


@pytest.mark.parametrize("content", [
    b"not a checkpoint\n", b"{}", bytes(range(256)) * 8, pickle.dumps({"a": 1}), pickle.dumps({"state_dict": Harm()}),
    b"PK\x03\x04" + bytes(64), b"\x80\x02", b"\x80\x02}q\x00(X\x01",
])  # fmt: skip
def test_a_file_that_is_something_else(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "other.ckpt"
    path.write_bytes(content)
    message = complaint(lambda: load_classifier(path))
    assert str(path) in message
    assert "damaged" in message
    assert not (tmp_path / "harm-done").exists()


def test_checkpoints_of_other_programs(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    assert "was not written by lightning-clf" in complaint(lambda: read_checkpoint(tmp_path / "other.ckpt"))
    torch.save([1, 2], tmp_path / "list.ckpt")
    assert "was not written by lightning-clf" in complaint(lambda: read_checkpoint(tmp_path / "list.ckpt"))
    torch.save({"state_dict": Path("a")}, tmp_path / "objects.ckpt")
    assert "holds more than tensors and primitives" in complaint(lambda: read_checkpoint(tmp_path / "objects.ckpt"))
    assert "does not exist" in complaint(lambda: read_checkpoint(tmp_path / "none.ckpt"))


GONE = object()
OURS, ARTEFACT = ("lightning_clf",), ("lightning_clf", "artefact")
BYTE = torch.zeros(1, dtype=torch.uint8)
NO_SHAPE = [
    (OURS, None, "lightning_clf is None, not a mapping"),
    (("state_dict",), GONE, "it has no 'state_dict'"),
    (ARTEFACT, GONE, "lightning_clf has no 'artefact'"),
    (ARTEFACT, None, "lightning_clf.artefact is None, not a mapping"),
    ((*OURS, "module"), GONE, "lightning_clf has no 'module'"),
    ((*OURS, "module", "init_args"), GONE, "lightning_clf.module has no 'init_args'"),
    ((*ARTEFACT, "config", "model_type"), GONE, "lightning_clf.artefact.config has no 'model_type'"),
    ((*ARTEFACT, "max_length"), "32", "lightning_clf.artefact.max_length is '32', not a whole number from 1 up"),
    ((*ARTEFACT, "tokenizer"), {"a": b"x"}, "lightning_clf.artefact.tokenizer is {'a': b'x'}, not a mapping from "),
]
NO_CONTENT = [
    ((*ARTEFACT, "tokenizer"), {}, "Couldn't instantiate the backend tokenizer"),
    ((*ARTEFACT, "tokenizer", "tokenizer.json"), BYTE, "Expecting value: line 1 column 1"),
    ((*ARTEFACT, "tokenizer", "evil.py"), BYTE, "its tokenizer holds 'evil.py', which is no file of a tokenizer"),
    ((*ARTEFACT, "config", "model_type"), "nonesuch", "Unrecognized model identifier: nonesuch"),
    ((*ARTEFACT, "config", "hidden_act"), "nope", "KeyError: 'nope'"),
    ((*ARTEFACT, "labels", "names"), ["O", "B-PER"], "label 1 is 'B-LOC' in the encoder's configuration, and 'B-PER'"),
    ((*ARTEFACT, "labels", "names"), ["O", "O"], "duplicate label name 'O'"),
    ((*ARTEFACT, "max_length"), 65, "max_length is 65, and the encoder has 64 positions"),
]


def spoil(checkpoint, way, value, target):
    content = torch.load(checkpoint, weights_only=True)
    *way, last = way
    part = reduce(getitem, way, content)
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    torch.save(content, target)
    return str(target)


@pytest.mark.parametrize(("way", "value", "said"), [*NO_SHAPE, *NO_CONTENT])
@pytest.mark.parametrize("load", [load_classifier, TokenClassifier.load_from_checkpoint])
def test_a_checkpoint_whose_description_is_spoilt(load, way, value, said, fitted, tmp_path):
    path = spoil(fitted[1], way, value, tmp_path / "spoilt.ckpt")
    message = complaint(lambda: load(path))
    # a module that builds itself from what a Trainer read is not told from which file
    is_named = load is load_classifier or (way, value, said) in NO_SHAPE
    assert message.startswith(f"{f'checkpoint {path}' if is_named else 'the checkpoint'} is damaged ({said}")
    assert message.endswith("): use another, such as last.ckpt")


def test_a_checkpoint_with_a_label_too_many_for_its_weights(fitted, tmp_path):
    content = torch.load(fitted[1], weights_only=True)
    artefact = content["lightning_clf"]["artefact"]
    artefact["labels"]["names"] += ["B-X"]
    artefact["config"]["id2label"]["5"] = "B-X"
    torch.save(content, tmp_path / "more.ckpt")
    message = complaint(lambda: load_classifier(tmp_path / "more.ckpt"))
    assert message.startswith(f"{tmp_path / 'more.ckpt'} does not hold the weights its own description asks for (")
    assert "size mismatch for encoder.classifier" in message
    assert message.endswith("): use another")


def test_arguments_may_be_changed(fitted):
    changed = TokenClassifier.load_from_checkpoint(
        str(fitted[1]), learning_rate=0.25, monitor="val/loss", train_continuations=True
    )
    assert (changed.learning_rate, changed.monitor, changed.train_continuations) == (0.25, "val/loss", True)
    assert changed.spec()["init_args"]["learning_rate"] == 0.25
    plain = TokenClassifier.load_from_checkpoint(str(fitted[1]), class_weights=None, loss=FocalLoss(gamma=3.0))
    assert plain.loss.gamma == 3.0
    assert plain.loss.class_weights.tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("key", "value"), [("encoder", "other"), ("head", ArchitectureHead()), ("labels", {}), ("encoder_options", {})]
)
def test_what_the_network_is_made_of_may_not(key, value, fitted):
    message = complaint(lambda: TokenClassifier.load_from_checkpoint(str(fitted[1]), **{key: value}))
    assert message == f"{key} is what checkpoint {fitted[1]} was trained with: leave it out, or train anew"


def test_an_argument_it_does_not_have(fitted):
    message = complaint(lambda: TokenClassifier.load_from_checkpoint(str(fitted[1]), learning_rat=0.1))
    assert "learning_rat" in message


def test_a_class_that_is_gone(fitted, tmp_path):
    content = torch.load(fitted[1], weights_only=True)
    content["lightning_clf"]["module"]["class_path"] = "gone.Module"
    torch.save(content, tmp_path / "gone.ckpt")
    message = complaint(lambda: TokenClassifier.load_from_checkpoint(str(tmp_path / "gone.ckpt")))
    assert message.startswith("class 'gone.Module' cannot be imported")
    assert load_classifier(tmp_path / "gone.ckpt").predict(ROW[:1])  # prediction needs no module


def test_a_checkpoint_of_another_version(fitted, tmp_path):
    content = torch.load(fitted[1], weights_only=True)
    content["lightning_clf"]["format"] = 2
    torch.save(content, tmp_path / "later.ckpt")
    for load in (TokenClassifier.load_from_checkpoint, load_classifier):
        message = complaint(lambda load=load: load(str(tmp_path / "later.ckpt")))
        assert message.endswith(
            "has format 2, and this version of lightning-clf reads 1: use the version that wrote it"
        )


def test_an_argument_that_the_module_does_not_take_is_not_blamed_on_the_checkpoint(fitted):
    assert complaint(lambda: TokenClassifier.load_from_checkpoint(str(fitted[1]), foo=1)) == (
        "TokenClassifier takes no foo: leave it out of load_from_checkpoint"
    )
