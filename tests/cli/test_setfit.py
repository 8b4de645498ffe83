"""A model of a few rows goes through every command like any other."""

from __future__ import annotations

import json

import pytest

from lightning_clf.cli import main
from tests.tiny import CORPUS

ROWS = {
    "single": [{"text": f"{text} {n}", "label": "ab"[n % 2]} for n in range(3) for text in CORPUS],
    "multi": [
        {"text": f"{text} {n}", "labels": [("joy",), ("joy", "fear"), ("fear",), ()][place % 4]}
        for n in range(3)
        for place, text in enumerate(CORPUS)
    ],
}


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_from_doctor_to_report(kind, encoders, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in ROWS[kind])
    (tmp_path / "data" / "train.jsonl").write_text(lines)
    keys = {
        "model.encoder": encoders("bert"),
        "model.kind": kind,
        "data.kind": kind,
        "data.source": "data",
        "data.shots": 4,
        "data.pairs": 32,
        "data.val_fraction": 0.5,
        "data.max_length": 32,
        "trainer.default_root_dir": "run",
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
    }
    words = ["--config=setfit.yaml", *(f"--{name}={value}" for name, value in keys.items())]
    assert main(["doctor", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    said = {finding["check"]: finding for finding in found}
    assert "the largest batch, 16 pairs of" in said["memory"]["found"]
    assert "an epoch of 2 batches" in said["time"]["found"]
    assert main(["fit", *words]) == 0
    assert main(["test", "--ckpt_path", "run/best.ckpt"]) == 0
    tested = json.loads((tmp_path / "run" / "test_metrics.json").read_text())
    assert {"test/f1_macro", "test/loss"} <= tested.keys()
    file = str(tmp_path / "data" / "train.jsonl")
    assert main(["calibrate", "--model", "run/best", "--input", file, "--output", "calibrated"]) == 0
    assert main(["export", "--model", "calibrated", "--format", "onnx", "--output", "graph", "--input", file]) == 0
    assert main(["report", "--model", "graph", "--input", file, "--output", "report.html"]) == 0
    answers = []
    for model in ("calibrated", "graph"):
        assert main(["predict", "--model", model, "--input", file, "--output", f"{model}.jsonl"]) == 0
        read = [json.loads(line) for line in (tmp_path / f"{model}.jsonl").read_text().splitlines()]
        answers.append([answer["probabilities"] for answer in read])
    assert len(answers[0]) == len(ROWS[kind])
    for one, other in zip(*answers, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
