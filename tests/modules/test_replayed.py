"""A fit whose steps are replayed: it learns the same, and what does not go with it is refused before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor

from lightning_clf import SingleLabelClassifier
from lightning_clf.finetuning import FineTuning
from lightning_clf.gpu import StepGraphs, captured
from lightning_clf.heads import MLPHead
from lightning_clf.modules import computation
from lightning_clf.modules.trained import TrainedModule
from tests.gpu.replayed import Again
from tests.training import MODULES, complaint, make_data, make_module, make_trainer


def fitted_by(
    monkeypatch,
    kind: str,
    encoder: Path,
    folder: Path,
    cuda_graphs: bool,
    trainer: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Tensor]:
    """The weights that a fit ends with."""
    monkeypatch.setattr("lightning_clf.modules.base.check_capturable", lambda *_: None)
    monkeypatch.setattr("lightning_clf.network.StepGraphs", lambda module, compute: StepGraphs(module, compute, Again))
    # a CPU's own ways of a step draw other masks as often as they are tried, and narrow to words
    monkeypatch.setattr(TrainedModule, "_has_cheap_steps", False)
    seed_everything(3)
    module = make_module(kind, encoder, learning_rate=1e-3, cuda_graphs=cuda_graphs, **options)
    with mock.patch.object(captured.Captured, "of", side_effect=captured.Captured.of) as asked:
        make_trainer(folder, max_epochs=2, **(trainer or {})).fit(module, make_data(kind))
    assert asked.called == cuda_graphs
    assert module.network._graphs is None
    return module.state_dict()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}], ids=["plain", "accumulated"])
@pytest.mark.parametrize("kind", MODULES)
def test_a_fit_learns_the_same(kind, options, precision, encoders, tmp_path, monkeypatch):
    encoder, trainer = encoders("bert"), {"precision": precision, **options}
    weights = [fitted_by(monkeypatch, kind, encoder, tmp_path, cuda_graphs, trainer) for cuda_graphs in (False, True)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"packed": True}, "model.packed gives every batch a length of its own, for which model.cuda_graphs would"),
        (
            {"compile": True},
            "model.compile and model.cuda_graphs are two ways to launch a step's kernels at once: leave",
        ),
        (
            {"attn_implementation": "flash_attention_2"},
            "model.attn_implementation flash_attention_2 waits for the GPU in each layer, which model.cuda_graphs",
        ),
    ],
)
def test_what_it_does_not_go_with(options, said):
    assert complaint(lambda: SingleLabelClassifier("encoder", cuda_graphs=True, **options)).startswith(said)


def test_a_fit_that_is_not_on_a_gpu_is_refused(encoders, tmp_path):
    module = make_module("single", encoders("bert"), cuda_graphs=True)
    assert complaint(lambda: make_trainer(tmp_path).fit(module, make_data("single"))) == (
        "model.cuda_graphs is for one NVIDIA GPU alone, but the Trainer computes on cpu by SingleDeviceStrategy: leave "
        "it out, or set trainer.accelerator to gpu, trainer.devices to 1 and trainer.strategy to auto"
    )


@pytest.mark.parametrize(
    ("strategy", "encoder", "said"),
    [
        (
            DDPStrategy,
            {},
            "model.cuda_graphs is for one NVIDIA GPU alone, but the Trainer computes on cuda by DDPStrategy",
        ),
        (
            SingleDeviceStrategy,
            {"model_type": "deberta-v2"},
            "model.cuda_graphs cannot capture deberta-v2, which waits",
        ),
        (
            SingleDeviceStrategy,
            {"encoder_layerdrop": 0.1},
            "model.cuda_graphs cannot capture an encoder that drops layers by chance (layerdrop)",
        ),
        (
            SingleDeviceStrategy,
            {"checkpointing": True},
            "model.cuda_graphs keeps what activation checkpointing computes",
        ),
    ],
)
def test_a_fit_that_cannot_be_captured_is_refused(strategy, encoder, said):
    trainer = mock.Mock(strategy=mock.Mock(spec=strategy, root_device=torch.device("cuda")))
    model = mock.Mock(is_activation_checkpointing=encoder.get("checkpointing", False))
    model.config = SimpleNamespace(**{"model_type": "bert", **encoder})
    type(trainer.strategy).__name__ = strategy.__name__
    assert complaint(lambda: computation.check_capturable(trainer, model)).startswith(said)


def test_a_fit_whose_encoder_is_frozen_learns_the_same(encoders, tmp_path, monkeypatch):
    """Under a head of ours, which stands outside of what is captured."""
    weights = [
        fitted_by(
            monkeypatch, "single", encoders("bert"), tmp_path, cuda_graphs,
            head=MLPHead(), finetuning=FineTuning(freeze="encoder"),
        )
        for cuda_graphs in (False, True)
    ]  # fmt: skip
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0, msg=name)
