"""What a model card says of a cascade."""

from __future__ import annotations

import dataclasses

import pytest

from lightning_clf.artefact import load_artefact
from lightning_clf.cascade import Cascade, Curve
from lightning_clf.exporting import export

SAID = "the address of a language model and the prompt it is told travel with the folder"


@pytest.mark.parametrize("format", ["hf", "onnx"])
def test_address_and_prompt_are_told_of_where_they_travel(format, model, tmp_path):
    artefact = load_artefact(model("multi"))
    cascade = Cascade(0.5, "http://h/v1", "stub", "Say it.", 0.1, 1, Curve((0.0, 0.5), (0.0, 0.5), (0.5, 0.25)))
    for name, policy in (("with", cascade), ("without", None)):
        artefact.network.set_decision(dataclasses.replace(artefact.decision, cascade=policy))
        artefact.save(tmp_path / name)
        export(str(tmp_path / name), format, str(tmp_path / f"new-{name}"))
        folder = tmp_path / f"new-{name}"
        assert (SAID in (folder / "README.md").read_text(encoding="utf-8")) == (policy is not None)
        told = (folder / "lightning_clf.json").read_text(encoding="utf-8")
        assert ("http://h/v1" in told and "Say it." in told) == (policy is not None)
