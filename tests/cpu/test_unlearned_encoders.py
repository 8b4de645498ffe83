"""Encoders whose attention is another where no gradient is wanted answer as they did but for rounding."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModel

from lightning_clf import SingleLabelClassifier
from lightning_clf.cpu import take_unlearned_attention, unlearned_attention
from lightning_clf.cpu.unlearned_attention import ATTENTION
from tests.cpu.parts import inputs
from tests.training import make_data, make_module, make_trainer


@torch.no_grad()
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("architecture", sorted(unlearned_attention._ARCHITECTURES - {"camembert"}))
def test_an_encoder(encoders, attended, architecture, padded):
    model = AutoModel.from_pretrained(encoders(architecture)).eval()
    given = inputs() if padded else {"input_ids": inputs()["input_ids"]}
    known = inputs()["attention_mask"].bool() if padded else ...
    narrow, wide = model.to(torch.bfloat16), AutoModel.from_pretrained(encoders(architecture)).eval()
    wide.load_state_dict(narrow.state_dict())
    theirs, exact = narrow(**given)[0][known].float(), wide(**given)[0][known]
    for one in (narrow, wide):
        take_unlearned_attention(one)
        assert one.config._attn_implementation == ATTENTION
    ours = narrow(**given)[0][known].float()
    assert len(attended) == narrow.config.num_hidden_layers
    assert (ours - exact).norm() < 1.3 * (theirs - exact).norm()
    assert torch.equal(wide(**given)[0][known], exact)
    assert len(attended) == narrow.config.num_hidden_layers


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_a_compiler_and_an_exporter_see_sdpa(encoders, attended, architecture):
    model = AutoModel.from_pretrained(encoders(architecture)).eval().to(torch.bfloat16)
    plain = model(**inputs())[0]
    take_unlearned_attention(model)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=True)
    torch.testing.assert_close(compiled(**inputs())[0], plain)
    shapes = {name: {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO} for name in inputs()}
    exported = torch.export.export(model, (), inputs(), dynamic_shapes=shapes, strict=False).module()
    torch.testing.assert_close(exported(**inputs())[0], plain)
    assert attended == []


@pytest.mark.parametrize(("architecture", "attention"), [("bert", "eager"), ("qwen3", "sdpa"), ("deberta-v2", "eager")])
def test_what_is_left_alone(encoders, architecture, attention):
    model = AutoModel.from_pretrained(encoders(architecture), attn_implementation=attention)
    take_unlearned_attention(model)
    assert model.config._attn_implementation == attention


@pytest.mark.parametrize(("asked", "taken"), [(None, True), ("sdpa", False)])
def test_validation(encoders, attended, tmp_path, asked, taken):
    module = make_module("single", encoders("bert"), attn_implementation=asked)
    trainer = make_trainer(tmp_path, precision="bf16-mixed")
    trainer.validate(module, make_data("single"), verbose=False)
    assert bool(attended) == taken
    attended.clear()
    trainer.fit(module, make_data("single"))
    assert bool(attended) == taken


def test_an_export_knows_nothing_of_it(encoders, attended, tmp_path):
    module = make_module("single", encoders("bert"))
    make_trainer(tmp_path).fit(module, make_data("single"))
    assert isinstance(module, SingleLabelClassifier)
    assert module.network.config._attn_implementation == ATTENTION
    module.artefact.save(tmp_path / "export")
    assert "attn" not in " ".join(json.loads((tmp_path / "export/config.json").read_text()))
    assert "lightning_clf" not in (tmp_path / "export/config.json").read_text()
