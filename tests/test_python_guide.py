"""The blocks of docs/python.md are run one after the other, with a tiny encoder in the place of the named one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lightning_clf.inference import load_classifier
from tests.training import make_trainer

GUIDE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def blocks(tmp_path, encoders, monkeypatch):
    """Every block of Python, but for the one that is a file of its own, which lies in the working folder."""
    found = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(found) == GUIDE.count("```") // 2
    found = [block.replace("google-bert/bert-base-uncased", str(encoders("bert"))) for block in found]
    found = [re.sub(r"batch_size=4\b", "batch_size=4, max_length=32", block) for block in found]
    found = [re.sub(r"Trainer\((?=max)", 'Trainer(accelerator="cpu", ', block) for block in found]
    (own,) = (block for block in found if block.startswith("# own.py"))
    (tmp_path / "own.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield [block for block in found if block is not own]
    sys.modules.pop("own", None)


def test_the_blocks_run_one_after_the_other(blocks, tmp_path):
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["trainer"].state.finished
    assert names["answer"]["label"] in ("bad", "good")
    assert names["answer"] == {**names["same"], "probability": pytest.approx(names["same"]["probability"]),
                               "probabilities": pytest.approx(names["same"]["probabilities"])}  # fmt: skip
    assert load_classifier(tmp_path / "runs" / "python" / "exported").predict(["so happy"])[0]["label"]
    assert names["again"].learning_rate == 2e-5
    assert names["half"].monitor == "val/kappa"
    (logged,) = (tmp_path / "runs" / "half").rglob("hparams.yaml")
    assert "share: 0.25" in logged.read_text()
    half = type(names["half"]).load_from_checkpoint(logged.parent / "best.ckpt")
    assert half.share == 0.25
    numbers = make_trainer(tmp_path).validate(half, names["data"], verbose=False)[0]
    assert numbers["val/kappa"] == names["half"].trainer.callback_metrics["val/kappa"].item()
    assert len(names["scores"]) == 2
    for fold in range(2):
        assert (tmp_path / "runs" / f"fold-{fold}" / "best.ckpt").is_file()
