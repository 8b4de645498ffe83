"""Which heads and architectures go into a graph, which are refused, and what eight bits leave of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_clf import load_classifier
from lightning_clf.exporting import export
from lightning_clf.heads import CRFHead, LabelAttentionHead, LinearHead, MLPHead, OrdinalHead, SpanHead
from tests.exporting.conftest import assert_same, probabilities, rows_of
from tests.training import complaint


@pytest.mark.parametrize(
    ("name", "head"),
    [
        *[("single", LinearHead(pooling)) for pooling in ("cls", "mean", "max", "attention", "last")],
        ("multi", LabelAttentionHead()),
        ("single", OrdinalHead()),
        ("score", MLPHead("mean")),
        ("tags", MLPHead()),
        ("tags", CRFHead()),
    ],
    ids=lambda value: getattr(value, "pooling_name", None) or getattr(type(value), "__name__", None),
)
def test_heads_of_our_own_go_into_the_graph(name, head, exported):
    source, target = exported("onnx", name, "bert", head)
    rows = rows_of(name)
    assert_same(load_classifier(target).predict(rows), load_classifier(source).predict(rows), 1e-4)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (SpanHead(), "SpanHead scores words together, as spans of them"),
        (LinearHead("max"), "LinearHead pools a word's subwords by max, and a graph knows no words"),
        (CRFHead("mean"), "CRFHead pools a word's subwords by mean, and a graph knows no words"),
    ],
)
def test_heads_that_are_no_function_of_subwords_are_refused(head, said, model, tmp_path):
    message = complaint(lambda: export(model("tags", "bert", head), "onnx", str(tmp_path / "new")))
    assert message.startswith(said)
    assert message.endswith("export it as hf")
    assert [*tmp_path.iterdir()] == []
    export(model("tags", "bert", head), "hf", str(tmp_path / "new"))


def test_an_architecture_that_cannot_be_traced_is_named(model, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no operator\nof this kind")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    message = complaint(lambda: export(model("pair"), "onnx", str(tmp_path / "new")))
    assert message.startswith("the architecture bert cannot be written as an ONNX graph (RuntimeError: no operator of")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["single", "tags"])
def test_small_weights_answer(name, exported):
    source, target = exported("onnx-int8", name)
    _, whole = exported("onnx", name)
    rows = rows_of(name)
    answers, wanted = load_classifier(target).predict(rows), load_classifier(source).predict(rows)
    assert probabilities(answers) != pytest.approx(probabilities(wanted), abs=1e-4)  # they are rounded
    assert np.mean(np.abs(np.subtract(probabilities(answers), probabilities(wanted)))) < 0.15
    graph = (Path(target) / "model.onnx").read_bytes()
    assert b"MatMulInteger" in graph
    assert b"MatMulInteger" not in (Path(whole) / "model.onnx").read_bytes()
