"""The folder of the package `setfit`, which answers there as the model it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import lightning_clf
from lightning_clf.artefact import Artefact, load_artefact
from lightning_clf.cli import main
from lightning_clf.decision import Decision, Scaling
from lightning_clf.encoding import load_tokenizer
from lightning_clf.exporting import export
from lightning_clf.heads import EmbeddingHead, LinearHead
from lightning_clf.labels import LabelSpace
from lightning_clf.network import Network
from tests.exporting.conftest import assert_same
from tests.tiny import CORPUS
from tests.training import complaint

setfit = pytest.importorskip("setfit")

SPACES = {"two": LabelSpace.of("ab", "single"), "three": LabelSpace.of("abc", "single"), "many": LabelSpace.of("abc", "multi")}  # fmt: skip # noqa: E501


@pytest.fixture
def made(encoders, tmp_path):
    """Writes a model with random weights; its folder."""

    def make(name, head, columns=None, decision=None, stride=None) -> str:
        encoder = str(encoders("bert"))
        torch.manual_seed(1)
        tokenizer = load_tokenizer(encoder)
        network = Network.from_pretrained(encoder, head, SPACES[name], tokenizer)
        for weight in network.encoder.parameters():
            weight.data.mul_(15)
        if getattr(head, "normalize", False):  # of embeddings of length 1, so that answers differ whatever the encoder
            network.head.output.weight.data.mul_(10)
        network.set_decision(decision or Decision())
        Artefact(network, tokenizer, 24, columns or {"text": "text"}, stride).save(tmp_path / "model")
        return str(tmp_path / "model")

    return make


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("two", EmbeddingHead("mean", normalize=True)),
        ("three", EmbeddingHead("max", normalize=False)),
        ("many", EmbeddingHead("mean", normalize=True)),
    ],
)
def test_the_package_answers_as_the_model(name, head, made, tmp_path, capsys):
    source, target = made(name, head), tmp_path / "theirs"
    assert main(["export", "--model", source, "--format", "setfit", "--output", str(target)]) == 0
    said = capsys.readouterr()
    assert "warning: model_head.pkl is a pickle" in said.err
    theirs = setfit.SetFitModel.from_pretrained(str(target), device="cpu")
    answers = lightning_clf.load_classifier(source).predict(CORPUS)
    wanted = [[answer["probabilities"][label] for label in SPACES[name].names] for answer in answers]
    np.testing.assert_allclose(theirs.predict_proba(CORPUS).numpy(), wanted, atol=1e-5)
    assert np.ptp(np.array(wanted), axis=0).max() > 0.05
    given = theirs.predict(CORPUS)
    if name == "many":
        assert np.asarray(given).tolist() == [[int(label in answer["labels"]) for label in "abc"] for answer in answers]
    else:
        assert list(given) == [answer["label"] for answer in answers]
    assert theirs.labels == list(SPACES[name].names)
    assert str(tmp_path) not in "".join(path.read_text() for path in target.rglob("*.json"))


def test_what_others_read_needs_nothing_of_the_package(made, tmp_path):
    source = made("three", EmbeddingHead("mean", normalize=True))
    wanted = lightning_clf.load_classifier(source).predict(CORPUS)
    for format in ("hf", "onnx"):
        export(source, format, str(tmp_path / format))
        assert_same(lightning_clf.load_classifier(str(tmp_path / format)).predict(CORPUS), wanted, 1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "hf")
    with torch.inference_mode():
        logits = model(**tokenizer(CORPUS, padding=True, return_tensors="pt")).logits
    ours = [list(answer["probabilities"].values()) for answer in wanted]
    np.testing.assert_allclose(logits.softmax(-1), ours, atol=1e-5)
    stored = json.loads(Path(source, "lightning_clf.json").read_text())
    assert stored["head"]["init_args"] == {"pooling": "mean", "normalize": True}
    assert load_artefact(source).network.head.normalize is True


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        (LinearHead(), {}, "the package setfit reads embeddings with a linear layer, and this model has a LinearHead"),
        (EmbeddingHead("attention"), {}, "the package setfit reads embeddings with a linear layer, and this model has"),
        (
            EmbeddingHead(),
            {"columns": {"text": "text", "text_pair": "other"}},
            "the package setfit reads one text a row, and this model pairs of texts",
        ),
        (
            EmbeddingHead(),
            {"stride": 4},
            "the package setfit cuts long texts off, and this model reads them in windows",
        ),
        (
            EmbeddingHead(),
            {"decision": Decision(Scaling(2.0))},
            "the package setfit has no place for what calibrate has decided",
        ),
    ],
)
def test_refusals(head, options, message, made, tmp_path):
    source = made("three", head, **options)
    assert complaint(lambda: export(source, "setfit", str(tmp_path / "theirs"))).startswith(message)
    assert not (tmp_path / "theirs").exists()
