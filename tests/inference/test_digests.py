"""A digest tells a model from another, and not from itself."""

from __future__ import annotations

import json

import torch

from lightning_clf.digest import model_digest
from lightning_clf.inference import Classifier, load_classifier
from lightning_clf.inference.digests import file_digest


def test_a_model_is_itself_whenever_it_is_loaded_and_after_it_was_used(classifier, tmp_path):
    classifier("single").artefact.save(tmp_path / "one")
    backend = tmp_path / "one" / "tokenizer.json"
    backend.write_text(json.dumps(json.loads(backend.read_text()) | {"truncation": None, "padding": None}))
    first, second = (load_classifier(tmp_path / "one") for _ in range(2))
    digest = model_digest(first.artefact)
    assert len(digest) == 64
    first.predict(["a great joy", "a"])
    assert model_digest(first.artefact) == digest
    assert model_digest(second.artefact) == digest
    assert model_digest(Classifier(second.artefact, {"text": "other"}).artefact) == digest


def test_a_model_is_another_with_any_weight_window_or_type(classifier, tmp_path):
    classifier("single").artefact.save(tmp_path / "one")
    model = load_classifier(tmp_path / "one")
    digests = [model_digest(model.artefact)]
    with torch.no_grad():
        next(model.network.parameters()).view(-1)[-1] += 1e-3
    digests.append(model_digest(model.artefact))
    model.artefact.max_length -= 1
    digests.append(model_digest(model.artefact))
    model.to(dtype=torch.bfloat16)
    digests.append(model_digest(model.artefact))
    assert len(set(digests)) == 4


def test_a_file_is_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
