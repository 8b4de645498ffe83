"""A few real training steps, from which follows what an epoch and its largest batch take."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.data import BaseDataModule
from lightning_clf.errors import InputError
from lightning_clf.examine.cost import Cost
from lightning_clf.examine.memory import Saved, available_memory, fixed_bytes
from lightning_clf.examine.plan import PlannedLoading
from lightning_clf.modules import ClassifierModule

# a fit of these keeps nothing and stops by itself; one process stands for all, as all do about the same. Callbacks of a
# user's own are left out, since nobody knows what they write
_BRIEF: dict[str, Any] = {
    "accumulate_grad_batches": 1,  # so that every batch counts an optimiser's step, of which it may have a share only
    "devices": 1,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "fast_dev_run": False,
    "limit_train_batches": 1.0,
    "limit_val_batches": 1,
    "max_epochs": 1,
    "max_steps": -1,
    "max_time": None,
    "min_epochs": None,
    "min_steps": None,
    "num_nodes": 1,
    "num_sanity_val_steps": 0,
    "overfit_batches": 0.0,
    "profiler": None,
    "strategy": "auto",
    "val_check_interval": None,
    "check_val_every_n_epoch": 1,
}


class _Probe(Callback):
    """Counts what forward passes of the slices keep, and takes the time of the sample."""

    def __init__(self, loading: PlannedLoading) -> None:
        self.loading = loading
        self.device = torch.device("cpu")
        self.available: int | None = None
        self.kept: list[int] = []
        self.seconds: list[float] = []
        self._saved: Saved | None = None
        self._started = 0.0

    @property
    def knows_enough(self) -> bool:
        """Whether all slices were counted."""
        return bool(self.loading.plans) and len(self.kept) == len(self.loading.plans[-1].slices)

    def cost(self, module: LightningModule) -> Cost:
        """What was measured so far."""
        plan = self.loading.plans[-1]
        return Cost(plan, self.device, fixed_bytes(module), self.kept, self.available, self.seconds)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Begin to count, or to take the time."""
        if batch_idx < len(self.loading.plans[-1].slices):
            self._saved = Saved(pl_module)
            self._saved.start()
        self._started = _now(self.device)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """End counting."""
        if self._saved is not None:
            self.kept.append(self._saved.stop())
            self._saved = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Take the time, or stop before a batch that would not fit."""
        if self._saved is not None:  # a module that goes backward by itself
            self.on_before_backward(trainer, pl_module, outputs)
        plan = self.loading.plans[-1]
        if batch_idx > len(plan.slices):
            self.seconds.append(_now(self.device) - self._started)
        elif batch_idx == len(plan.slices) - 1 and not self.cost(pl_module).fits:
            trainer.should_stop = True


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure(module: ClassifierModule, datamodule: BaseDataModule[Any], settings: dict[str, Any]) -> Cost:
    """Prepare the data and fit for a few batches, as a fit with these settings would. Nothing is written but the cache.

    Args:
        module: The module to be trained; its weights have moved a little afterwards.
        datamodule: Its data; set up afterwards.
        settings: What the Trainer is made with.

    Raises:
        InputError: If a fit would refuse any of them.
    """
    loading = datamodule.loading
    planned = datamodule.loading = PlannedLoading.like(loading)
    probe = _Probe(planned)
    ran_out = False
    with tempfile.TemporaryDirectory() as folder:
        own = {"default_root_dir": folder, "logger": DummyLogger(), "callbacks": [probe]}
        trainer = Trainer(**{**settings, **_BRIEF, **own})
        probe.device = trainer.strategy.root_device
        probe.available = available_memory(probe.device)
        try:
            trainer.fit(module, datamodule)
        except torch.OutOfMemoryError as error:
            if not probe.knows_enough:
                raise InputError(
                    f"{probe.device} has no memory for one or two texts: lower data.max_length, freeze layers, or take "
                    "a smaller encoder"
                ) from error
            ran_out = True
        finally:
            datamodule.loading = loading
    validated = frozenset(name for name in trainer.callback_metrics if name.startswith("val/"))
    return replace(probe.cost(module), ran_out=ran_out, validated=validated)
