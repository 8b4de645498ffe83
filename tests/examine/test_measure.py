"""What a few steps tell is what a plain count of tensors tells, and nothing else than the weights is touched."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_clf.data.loading import Loading
from lightning_clf.examine import memory
from lightning_clf.examine.measure import measure
from lightning_clf.examine.memory import Saved, available_memory, fixed_bytes
from tests.tiny import CORPUS
from tests.training import make_data, make_module

QUIET = {"accelerator": "cpu", "max_epochs": 3, "enable_model_summary": False}
ROWS = [{"text": " ".join(CORPUS[: 1 + index % 3]), "label": "ab"[index % 2]} for index in range(24)]


def data(**options):
    return make_data("single", ROWS, **{"max_length": 40, "batch_size": 6, **options})


def test_kept_bytes_are_those_of_the_tensors():
    layers = nn.Sequential(nn.Linear(10, 20, bias=False), nn.ReLU(), nn.Linear(20, 5, bias=False))
    x = torch.zeros(7, 10)
    saved = Saved(layers)
    saved.start()
    layers(x).sum()
    # the first product keeps its input, the rectifier its output, which the second product keeps too
    assert saved.stop() == 4 * (7 * 10 + 7 * 20)
    saved.start()
    layers(x)
    assert saved.stop() == 4 * (7 * 10 + 7 * 20)


def test_fixed_bytes_are_four_times_what_moves():
    module = nn.Linear(10, 20)
    assert fixed_bytes(module) == 4 * 4 * (200 + 20)
    module.bias.requires_grad_(False)
    assert fixed_bytes(module) == 4 * (4 * 200 + 20)


def test_two_texts_tell_what_all_of_the_largest_batch_keep(encoders):
    options = {"encoder_options": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}}
    module, datamodule = make_module("single", encoders("bert"), **options), data()
    cost = measure(module, datamodule, QUIET)
    loader = datamodule.train_dataloader()
    batch = loader.collate_fn(loader.dataset[cost.plan.largest])
    assert batch.inputs["input_ids"].shape == (6, cost.plan.length)
    saved = Saved(module)
    module.train()
    saved.start()
    module._step(batch, "train")
    counted = saved.stop()
    assert cost.needed(6) - cost.fixed == pytest.approx(1.7 * counted, rel=0.02)
    assert cost.fixed == fixed_bytes(module)


def test_the_datamodule_is_as_it_was_and_nothing_is_written(encoders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datamodule = data()
    cost = measure(make_module("single", encoders("bert")), datamodule, QUIET)
    assert type(datamodule.loading) is Loading
    assert not list(tmp_path.iterdir())
    assert len(cost.seconds) == len(cost.plan.sample) == cost.plan.batches == 4
    assert "val/f1_macro" in cost.validated


def test_a_batch_that_would_not_fit_is_not_tried(encoders, monkeypatch):
    sizes = []
    datamodule, module = data(), make_module("single", encoders("bert"))
    training_step = type(module).training_step

    def step(self, batch, index):
        sizes.append(len(batch))
        return training_step(self, batch, index)

    monkeypatch.setattr(type(module), "training_step", step)
    monkeypatch.setattr("lightning_clf.examine.measure.available_memory", lambda device: 1000)
    cost = measure(module, datamodule, QUIET)
    assert sizes == [1, 2]
    assert not cost.fits
    assert (cost.most_texts, cost.seconds) == (0, [])


def test_a_device_that_runs_out_is_told(encoders, monkeypatch):
    module = make_module("single", encoders("bert"))
    training_step = type(module).training_step

    def step(self, batch, index):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return training_step(self, batch, index)

    monkeypatch.setattr(type(module), "training_step", step)
    cost = measure(module, data(), QUIET)
    assert cost.ran_out
    assert not cost.fits


def test_free_memory_is_the_least_of_machine_and_group(tmp_path, monkeypatch):
    free = available_memory(torch.device("cpu"))
    assert free is None or free > 0
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    assert available_memory(torch.device("cpu")) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(torch.device("cpu")) != 2000
    assert available_memory(torch.device("meta")) is None
