"""Exports answer as the model they were made of, by whatever program; or they are not written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from seqeval.metrics import f1_score as seqeval_f1
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from lightning_clf import load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.calibration import Target, Wanted
from lightning_clf.encoding import Collator
from lightning_clf.exporting import export
from lightning_clf.heads import (
    LinearHead,
    SpanHead,
)
from lightning_clf.inference import calibrate
from lightning_clf.network import Network
from tests.exporting.conftest import assert_same, rows_of, write
from tests.inference.conftest import COLUMNS, LABELS
from tests.tiny import ENCODERS
from tests.training import complaint, tag


@pytest.mark.parametrize("architecture", ENCODERS)
@pytest.mark.parametrize("name", ["pair", "tags"])
def test_a_graph_answers_as_its_model(name, architecture, exported):
    source, target = exported("onnx", name, architecture)
    rows = rows_of(name)
    wanted = load_classifier(source).predict(rows, batch_size=4)
    assert len({str(answer.get("probabilities")) for answer in wanted}) > 3  # inputs matter
    assert_same(load_classifier(target).predict(rows, batch_size=3), wanted, 1e-4)
    files = {path.name for path in Path(target).iterdir()}
    assert {"README.md", "model.onnx", "config.json", "lightning_clf.json", "tokenizer.json"} <= files
    assert not any(name.endswith(".safetensors") for name in files)


@pytest.mark.parametrize("name", ["single", "multi", "score", "words"])
def test_a_graph_answers_every_kind(name, exported):
    source, target = exported("onnx", name)
    assert_same(load_classifier(target).predict(rows_of(name)), load_classifier(source).predict(rows_of(name)), 1e-4)


@pytest.mark.parametrize("name", ["pair", "tags"])
def test_a_graph_is_the_stock_model_to_whoever_runs_it(name, exported):
    _, target = exported("onnx", name)
    source, _ = exported("hf", name)
    auto = AutoModelForTokenClassification if name == "tags" else AutoModelForSequenceClassification
    stock = auto.from_pretrained(source).eval()
    session = onnxruntime.InferenceSession(f"{target}/model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert [entry.name for entry in session.get_inputs()] == ["input_ids", "attention_mask", "token_type_ids"]
    for texts in (["a great joy"], ["Anna", "a man is playing a guitar on the stage", "so sad"], ["a"] * 5):
        inputs = tokenizer(texts, texts[::-1], padding=True, return_tensors="pt")
        (logits,) = session.run(None, {key: value.numpy() for key, value in inputs.items()})
        with torch.inference_mode():
            wanted = stock(**inputs).logits
        padding = inputs["attention_mask"] == 0
        logits, wanted = (
            (np.where(padding[..., None], 0, values) if name == "tags" else values)
            for values in (logits, wanted.numpy())
        )
        np.testing.assert_allclose(logits, wanted, atol=1e-4)


STOCK = Path(__file__).parents[1] / "stock.py"


def test_stock_transformers_answer_alike_without_this_library(exported, tmp_path):
    cases, tensors, wanted = {}, {}, {}
    for name in ("single", "pair", "multi", "score", "tags"):
        source, target = exported("hf", name)
        classifier, row = load_classifier(source), rows_of(name)[2]
        batch = Collator(classifier.artefact.tokenizer, classifier.labels)(
            classifier.inputs.encode([classifier.inputs.read(row, "")])
        )
        given = row if name == "tags" else dict(zip(("text", "text_pair"), row.values(), strict=False))
        kind = "score" if name == "pair" else LABELS[name].kind  # which has the pipeline read both columns
        cases[name] = {"folder": target, "kind": kind, "inputs": [*batch.inputs], "row": given}
        tensors |= {f"{name}/{key}": tensor.contiguous() for key, tensor in batch.inputs.items()}
        (wanted[name],) = classifier.predict([row])
        wanted[name]["first"] = batch.first_subword
    save_file(tensors, tmp_path / "inputs.safetensors")
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    subprocess.run([sys.executable, "-I", str(STOCK), str(tmp_path)], check=True, timeout=170)
    logits = load_file(tmp_path / "logits.safetensors")
    for name, answer in wanted.items():
        scores = logits[name].double()
        if name == "score":
            assert float(scores.clamp(0, 5)) == pytest.approx(answer["score"], abs=1e-5)
        elif name == "tags":
            found = scores[0][answer["first"][0]].softmax(-1).max(-1).values
            assert found.tolist() == pytest.approx(answer["probabilities"], abs=1e-5)
        else:
            found = scores[0].sigmoid() if name == "multi" else scores[0].softmax(-1)
            assert found.tolist() == pytest.approx([*answer["probabilities"].values()], abs=1e-5)


def test_a_decision_goes_with_the_graph(model, tmp_path):
    rows = [{**row, "labels": ["joy"] * (n % 2)} for n, row in enumerate(rows_of("multi"))]
    file, fresh = write(tmp_path / "dev.jsonl", rows), LinearHead()
    calibrate(model("multi", "bert", fresh), file, str(tmp_path / "new"), Wanted("vector", thresholds=Target("f1")))
    export(str(tmp_path / "new"), "onnx", str(tmp_path / "graph"), file)
    read, wanted = load_classifier(tmp_path / "graph"), load_classifier(tmp_path / "new")
    assert read.artefact.decision == wanted.artefact.decision
    assert read.artefact.decision.scaling.scale
    assert_same(read.predict(rows), wanted.predict(rows), 1e-4)


@pytest.mark.parametrize(("format", "allowed"), [("hf", "1e-05"), ("onnx", "0.0001")])
@pytest.mark.parametrize("fault", ["other numbers", "no numbers"])
def test_an_export_that_answers_otherwise_leaves_nothing(fault, format, allowed, model, tmp_path, monkeypatch):
    source = model("pair")  # before the fault: it is of what is exported
    change = 1.01 if fault == "other numbers" else float("nan")
    features = Network.features
    # the model's own way is changed where no export sees it: the stock weights, or the trace, are as they were

    def spoil(network, batch):
        is_odd = hasattr(network, "odd") and not torch.jit.is_tracing()
        return features(network, batch) * (change if is_odd else 1)

    monkeypatch.setattr(Network, "features", spoil)

    def spoilt(path):
        artefact = load_artefact(path)
        artefact.network.odd = True
        return artefact

    monkeypatch.setattr("lightning_clf.exporting.exporter.load_artefact", spoilt)
    message = complaint(lambda: export(source, format, str(tmp_path / "a" / "new")))
    assert message.startswith(f"the {format} export answers otherwise than its model, by ")
    assert f"where {allowed} is allowed, and was not written" in message
    assert [*tmp_path.iterdir()] == []


def test_what_stood_there_stands_until_an_export_is_whole(model, tmp_path):
    target = tmp_path / "new"
    export(model("single"), "hf", str(target))
    before = (target / "config.json").read_bytes()
    complaint(lambda: export(model("tags", "bert", SpanHead()), "onnx", str(target)))
    assert (target / "config.json").read_bytes() == before
    export(model("pair"), "onnx", str(target))
    assert not (target / "model.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    for function in (export, calibrate):
        message = complaint(lambda function=function: function(str(target), "hf", str(tmp_path / "other"), Wanted()))
        assert message.startswith(f"folder {target} is an ONNX export, which predict, report and serve take: give the")


@pytest.mark.parametrize("name", ["single", "multi", "tags", "words", "score"])
def test_labelled_rows_are_scored_on_both_sides(name, exported, model, tmp_path):
    classifier, rows = load_classifier(model(name)), rows_of(name)
    answers = classifier.predict(rows)
    key = {"tags": "tags", "words": "tags", "multi": "labels"}.get(name, "score" if name == "score" else "label")
    labelled = [{**row, key: answer[key]} for row, answer in zip(rows, answers, strict=True)]
    if name == "score":
        labelled = [{**row, "score": n / 2} for n, row in enumerate(rows)]
        encoded = classifier.inputs.encode([classifier.inputs.read(row, "") for row in rows])
        with torch.inference_mode():  # which the range does not cut
            scores = classifier.network(Collator(classifier.artefact.tokenizer, classifier.labels)(encoded))
        expected = spearmanr(range(len(rows)), scores.tolist()).statistic
    if name in ("tags", "words"):
        tags = [answer["tags"] if name == "words" else tag(answer["tokens"]) for answer in answers]
        labelled = [{"tokens": answer["tokens"], "tags": its} for answer, its in zip(answers, tags, strict=True)]
    if name == "tags":
        expected = seqeval_f1(tags, [answer["tags"] for answer in answers], mode="strict", scheme=IOB2)
    elif name in ("single", "multi"):
        names = LABELS[name].names
        truth = [{names[n % len(names)]} if name == "single" else {*names[n % 3 :]} for n in range(len(rows))]
        labelled = [
            {**row, key: sorted(its) if name == "multi" else min(its)} for row, its in zip(rows, truth, strict=True)
        ]
        given = [set(answer.get("labels", [answer.get("label")])) for answer in answers]
        grids = [[[label in its for label in names] for its in side] for side in (truth, given)]
        expected = f1_score(*grids, average="macro", zero_division=0)
    elif name == "words":
        expected = 1.0
    made = export(model(name), "hf", str(tmp_path / "new"), write(tmp_path / "dev.jsonl", labelled), _tokens(name))
    assert made.comparison.metric == {
        "tags": "entity_f1", "words": "accuracy", "score": "spearman",
    }.get(name, "f1_macro")  # fmt: skip
    assert made.comparison.rows == len(rows)
    assert made.comparison.source.score == made.comparison.export.score == pytest.approx(expected, abs=1e-6)
    assert (made.comparison.agreement, made.comparison.difference) == (1, pytest.approx(0, abs=1e-5))
    unlabelled = export(model(name), "hf", str(tmp_path / "new"), write(tmp_path / "rows.jsonl", rows))
    assert unlabelled.comparison.metric is None
    assert unlabelled.comparison.rows == len(rows)


def _tokens(name: str) -> dict[str, str]:
    return {"tokens": "tokens"} if "tokens" in COLUMNS[name] else {}


def test_a_graph_runs_where_it_can_alone(exported):
    _, target = exported("onnx", "pair")
    classifier = load_classifier(target)
    assert complaint(lambda: classifier.to("cuda")).startswith("device 'cuda' cannot be used: an ONNX export runs on")
    assert "not in torch.bfloat16" in complaint(lambda: classifier.to(dtype=torch.bfloat16))
    assert classifier.to("cpu").network.device == torch.device("cpu")


def test_a_missing_package_is_named(exported, model, tmp_path, monkeypatch):
    _, target = exported("onnx", "pair")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for function in (lambda: load_classifier(target), lambda: export(model("pair"), "onnx", str(tmp_path / "new"))):
        assert complaint(function) == "ONNX exports need the package onnxruntime: pip install 'lightning-clf[onnx]'"


@pytest.mark.parametrize("damage", ["graph", "config.json", "no lightning_clf.json"])
def test_a_damaged_graph_folder(damage, exported, tmp_path):
    folder = shutil.copytree(exported("onnx", "pair")[1], tmp_path / "copy")
    if damage == "graph":
        (folder / "model.onnx").write_bytes(b"no graph")
    elif damage == "config.json":
        (folder / "config.json").write_text("{")
    else:
        (folder / "lightning_clf.json").unlink()
    message = complaint(lambda: load_classifier(folder))
    assert str(folder) in message
    assert message.endswith("export it again" if "no " not in damage else "give a folder that `export` wrote")
