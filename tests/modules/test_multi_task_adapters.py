"""Adapters in the one encoder of several tasks: kept in checkpoints, added in wherever else it is read."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from lightning_clf import MultiTaskClassifier, load_predictor
from lightning_clf.artefact import load_artefact
from lightning_clf.finetuning import LoRA
from tests.several_tasks import fit, make_tasks
from tests.tiny import CORPUS
from tests.training import complaint, make_trainer

KINDS = ("single", "tags", "score")
ROWS = [{"text": text, "text_pair": CORPUS[0], "tokens": text.split()} for text in CORPUS]


@pytest.fixture(scope="module")
def run(encoders, tmp_path_factory):
    """A run with adapters, kept and exported; its module, and what that scores on test."""
    folder = tmp_path_factory.mktemp("lora")
    model = {"finetuning": LoRA(rank=2, target_modules=["query", "value"])}
    trainer, module, _ = fit(encoders("bert"), folder, make_tasks(*KINDS), model=model, max_epochs=2)
    for name, weight in module.trunk.encoder.named_parameters():
        if ".lora_B" in name:
            assert weight.abs().max() > 0
            torch.nn.init.normal_(weight, std=0.5)  # so that they are seen in what is computed
    trainer.save_checkpoint(folder / "end.ckpt")
    module.export(folder / "end")
    return folder, module, make_trainer(folder).test(module, make_tasks(*KINDS), verbose=False)


def test_what_is_read_is_a_plain_encoder(run, encoders, tmp_path, monkeypatch):
    folder, module, tested = run
    stored = torch.load(folder / "end.ckpt", weights_only=True)["state_dict"]
    assert sum("lora_" in name for name in stored) == 8
    batches = {task: next(iter(module.datamodule.tasks[task].test_dataloader())) for task in KINDS}
    module.eval()
    with torch.no_grad():
        wanted = {task: module.trunk.whole(module.of_task(task).network)(batches[task]) for task in KINDS}
        plain = copy.deepcopy(module.trunk)
        for name, weight in plain.named_parameters():
            if ".lora_B" in name:
                weight.zero_()
        bare = {task: plain.whole(module.of_task(task).network)(batches[task]) for task in KINDS}
    monkeypatch.setitem(sys.modules, "peft", None)  # from here on it is not installed
    for task in KINDS:
        network = load_artefact(folder / "end" / task).network.eval()
        assert not any("lora_" in name for name in network.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(network(batches[task]), wanted[task], atol=1e-6, rtol=0)
            assert (wanted[task] - bare[task]).abs().max() > 1e-4
    loaded = MultiTaskClassifier.load_from_checkpoint(str(folder / "end.ckpt"))
    assert not any("lora_" in name for name in loaded.state_dict())
    again = make_trainer(tmp_path).test(loaded, make_tasks(*KINDS), verbose=False)
    for one, other in zip(again, tested, strict=True):
        assert one == pytest.approx(other, abs=1e-5, nan_ok=True)
    together = [load_predictor(folder / name).predict(ROWS) for name in ("end.ckpt", "end")]
    for one, other in zip(*together, strict=True):
        assert one["single"]["probabilities"] == pytest.approx(other["single"]["probabilities"], abs=1e-6)
        assert one["score"]["score"] == pytest.approx(other["score"]["score"], abs=1e-5)
        assert one["tags"]["tags"] == other["tags"]["tags"]
    stock, told = AutoModelForSequenceClassification.from_pretrained(
        folder / "end" / "single", output_loading_info=True
    )
    assert not any(told.values())
    name = "encoder.layer.0.attention.self.query.weight"
    read = loaded.state_dict()[f"trunk.encoder.{name}"]
    torch.testing.assert_close(stock.bert.state_dict()[name], read, atol=1e-6, rtol=0)
    first = stored["trunk.encoder.encoder.layer.0.attention.self.query.base_layer.weight"]
    assert not torch.equal(stock.bert.state_dict()[name], first)


def test_a_fit_goes_on_with_its_adapters(encoders, tmp_path):
    options = {"max_epochs": 2, "model": {"finetuning": LoRA(rank=2, dropout=0.1)}}
    _, _, whole = fit(encoders("bert"), tmp_path / "whole", make_tasks(*KINDS), save=True, **options)
    wanted = torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)["state_dict"]
    start = torch.load(tmp_path / "whole" / "step1.ckpt", weights_only=True)["state_dict"]
    for step in (3, 7):
        folder, checkpoint = tmp_path / str(step), tmp_path / "whole" / f"step{step}.ckpt"
        _, _, rest = fit(encoders("bert"), folder, make_tasks(*KINDS), checkpoint, seed=5, **options)
        assert rest.seen == whole.seen[step:]
        found = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
        assert found.keys() == wanted.keys()
        assert all(torch.equal(value, wanted[name]) for name, value in found.items())
    moved = {name for name in wanted if not torch.equal(wanted[name], start[name])}
    assert any("lora_A" in name for name in moved)
    assert not any(name.startswith("trunk.encoder.e") and "lora_" not in name for name in moved)


def test_adapters_that_are_not_whole(run, tmp_path):
    folder, _, _ = run
    for missing in ("0.attention.self.query.lora_B", "lora_A"):
        checkpoint = torch.load(folder / "end.ckpt", weights_only=True)
        weights = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: weight for name, weight in weights.items() if missing not in name}
        torch.save(checkpoint, tmp_path / "end.ckpt")
        for read in (load_predictor, MultiTaskClassifier.load_from_checkpoint):
            message = complaint(lambda read=read: read(str(tmp_path / "end.ckpt")))
            assert message.startswith("the checkpoint is damaged (KeyError")
