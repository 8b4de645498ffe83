"""How the weights of a module move: the step, its gradients, the optimiser, and what a run goes on with."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

from lightning_clf.checkpoint import SECTION
from lightning_clf.component import Component
from lightning_clf.cpu import CheapStep, RowGradients, SharedEmbeddings
from lightning_clf.errors import check_number
from lightning_clf.finetuning import FineTuning, LinearSchedule, Schedule, adamw, parameter_groups
from lightning_clf.heads import Head
from lightning_clf.losses import Loss, LossTerms
from lightning_clf.modules.checks import check_finetuning, check_same_training, check_steps, warn_of_rounded_updates
from lightning_clf.modules.evaluated import EvaluatedModule
from lightning_clf.modules.first import BuildFirst, callbacks_of, take_shape
from lightning_clf.modules.gradients import GradientMean
from lightning_clf.modules.loading import load_module
from lightning_clf.modules.randomness import States, random_states, set_random_state


class TrainedModule(Component, EvaluatedModule, ABC):
    """A module that the command trains: one encoder, whatever stands on it. A subclass calls `move_by` once.

    Attributes:
        learning_rate: Peak of the schedule.
        weight_decay: AdamW's decay on matrices.
        warmup_ratio: Share of all steps over which the learning rate rises from 0.
        schedule: The way from the peak.
        finetuning: What of the encoder moves and how fast; `None` moves all of it.
        compiles: Whether the encoder is compiled.
    """

    learning_rate: float
    weight_decay: float
    warmup_ratio: float
    schedule: Schedule
    finetuning: FineTuning | None
    compiles: bool = False

    def __init__(self) -> None:
        super().__init__()
        self._gradient_mean = GradientMean()
        self._random_states: States = []
        self._total_steps = 1
        self._cheap_step: CheapStep | None = None
        self._shared: SharedEmbeddings | None = None

    def move_by(
        self,
        learning_rate: float,
        weight_decay: float,
        warmup_ratio: float,
        schedule: Schedule | None,
        finetuning: FineTuning | None,
    ) -> None:
        """Take in the keys that say how weights move; the attributes say what each is.

        Raises:
            InputError: If a number is out of bounds.
        """
        self.learning_rate = check_number("model.learning_rate", learning_rate, above=0)
        self.weight_decay = check_number("model.weight_decay", weight_decay, least=0)
        self.warmup_ratio = check_number("model.warmup_ratio", warmup_ratio, least=0, most=1)
        self.schedule = schedule or LinearSchedule()
        self.finetuning = finetuning

    # ------------------------------------------------------------------ what a subclass says

    @property
    @abstractmethod
    def encoder(self) -> PreTrainedModel:
        """What policies freeze and adapt, once it is built."""

    @property
    @abstractmethod
    def heads(self) -> Sequence[Head]:
        """What stands on the encoder, once it is built."""

    @property
    @abstractmethod
    def losses(self) -> Sequence[Loss]:
        """What is minimised, but for what heads bring."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write what was trained for use without Lightning: in whole under its final name, or not at all.

        Raises:
            InputError: If nothing is built yet, or the folder cannot be written.
        """

    @abstractmethod
    def _step(self, batch: Any, stage: str) -> LossTerms:
        """One forward pass; counts what it scores."""

    @abstractmethod
    def take_shape(self, stage: str) -> None:
        """Build what is not built yet, for the data of the Trainer. May be called again."""

    # ------------------------------------------------------------------ building

    def configure_callbacks(self) -> list[Callback]:
        """None to add: what builds the module must stand before the Trainer's own, and is put there."""
        if not self._builds_first:
            callbacks_of(self.trainer).insert(0, BuildFirst())
        return []

    @property
    def _builds_first(self) -> bool:
        return any(isinstance(callback, BuildFirst) for callback in callbacks_of(self.trainer))

    def setup(self, stage: str) -> None:
        """Build what is not built yet, and say what is to be trained."""
        if not self._builds_first:  # as a subclass chooses its own callbacks
            take_shape(self.trainer, self, stage)
        if stage == "fit":
            rank_zero_info(self.describe_trainable())
            warn_of_rounded_updates(self.trainer)
        if self.compiles:
            self.encoder.compile()
        if stage == "fit":
            self._release()  # what a fit that an error ended has left
            if isinstance(self.trainer.strategy, DDPStrategy) and self._has_cheap_steps:
                self._shared = SharedEmbeddings(self)  # before DDP wraps it

    def teardown(self, stage: str) -> None:
        """Leave to the next fit what this one had told DDP."""
        if stage == "fit":
            self._release()

    def _release(self) -> None:
        if self._shared is not None:
            self._shared.release()
            self._shared = None

    # ------------------------------------------------------------------ the step

    def adapt_encoder(self) -> None:
        """Freeze or adapt what the policy says, before a fit.

        Raises:
            InputError: If the Trainer's strategy does not go with it.
        """
        if self.finetuning is not None:
            check_finetuning(self.trainer, self.finetuning)
            self.finetuning.prepare(self.encoder)

    def describe_trainable(self) -> str:
        """What is trainable, in a few lines to read."""
        if self.finetuning is not None:
            return self.finetuning.describe(self, self.encoder, self.learning_rate)
        total = sum(parameter.numel() for parameter in self.parameters())
        moving = sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
        return f"{moving:,} of {total:,} parameters are trainable"

    def on_fit_start(self) -> None:
        """Have all processes begin with the same weights."""
        if self._shared is not None:
            self._shared.begin()

    def on_train_start(self) -> None:
        """Go on with the random numbers of the checkpoint that the Trainer goes on from, and settle what is frozen."""
        # not where optimisers are made, which a subclass may do its own way
        self._total_steps = check_steps(self.trainer.estimated_stepping_batches)
        if self.finetuning is not None:
            self.finetuning.settle(self.encoder)
        # a fit that an error ended has left its own
        self._gradient_mean, self._cheap_step = GradientMean(), self._make_cheap_step()
        set_random_state(self.trainer, self._random_states)
        self._random_states = []

    @property
    def _has_cheap_steps(self) -> bool:
        """Whether a forward pass of training is made in the context of `CheapStep`."""
        # what checkpoints activations computes them once more in the backward pass, where no context reaches; and a
        # compiler draws masks of its own
        is_plain = not (self.encoder.is_activation_checkpointing or self.compiles)
        return is_plain and self.trainer.strategy.root_device.type == "cpu"

    def _make_cheap_step(self) -> CheapStep | None:
        """The context of a step on a CPU, where one is of use."""
        if not self._has_cheap_steps:
            return None
        is_alone = isinstance(self.trainer.strategy, SingleDeviceStrategy)
        shared = () if self._shared is None else self._shared.weights
        return CheapStep(RowGradients(None if is_alone else shared), self)

    def on_train_end(self) -> None:
        """Let go of what a step kept."""
        self._cheap_step = None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Unfreeze what is due."""
        if self.finetuning is not None:
            self.finetuning.advance(self.encoder, self.trainer.global_step, self._total_steps)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """One forward pass.

        Returns:
            The mean loss; with `accumulate_grad_batches` above 1 its sum, whose gradients become those of a mean at the
            step, when all weights are known. A penalty is therefore not to be added to it, but in `compute_loss`.
        """
        for loss in self.losses:
            loss.advance(self.trainer.global_step / self._total_steps)
        with self._cheap_step or contextlib.nullcontext():
            terms = self._step(batch, "train")
        self.log("train/loss_step", terms.mean.detach(), prog_bar=True, batch_size=len(batch))
        return self._gradient_mean.start(terms, self.trainer)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Make gradients of sums into gradients of the mean over all processes, before clipping.

        Callbacks come before, and on several CPUs find gradients of large embeddings that are of this process alone.
        """
        if self._shared is not None:
            self._shared.share(RowGradients() if self._cheap_step is None else self._cheap_step.rows)
        self._gradient_mean.apply(self)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the Trainer says; on a CPU without passing over what is zero, or where nothing is to be clipped."""
        if self._cheap_step is None or not gradient_clip_val or gradient_clip_algorithm not in (None, "norm"):
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            self._cheap_step.clip_gradients(optimizer, gradient_clip_val)

    # ------------------------------------------------------------------ optimisation

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """What moves, in groups for AdamW; a group without `lr` moves at `learning_rate`."""
        if self.finetuning is None:
            return parameter_groups(self, self.weight_decay)
        return self.finetuning.groups(self, self.encoder, self.learning_rate, self.weight_decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with decay on matrices only, and the schedule over all steps of the run."""
        optimizer = adamw(self, self.learning_rate, self.weight_decay, self.optimizer_groups())
        total = check_steps(self.trainer.estimated_stepping_batches)
        warmup = round(self.warmup_ratio * total)
        scheduler = LambdaLR(optimizer, lambda step: self.schedule.factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the random numbers that training goes on with."""
        if self._trainer is not None:
            checkpoint[SECTION]["random"] = random_states(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            InputError: If a fit is to go on with another `finetuning`, `learning_rate` or `weight_decay`.
        """
        if self._trainer is not None and self._trainer.state.fn == "fit":
            check_same_training(checkpoint, self.spec(), self.finetuning)
        self._random_states = checkpoint[SECTION].get("random", [])

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # what else Lightning takes, a checkpoint brings itself
        cls,
        checkpoint_path: str,
        map_location: torch.device | str = "cpu",
        strict: bool = True,
        **overrides: Any,
    ) -> Self:
        """Load a trained module: no network, no encoder folder, no further argument.

        Args:
            checkpoint_path: A `.ckpt` file, from the command or from Python.
            map_location: The device to put the module on.
            strict: Whether weights that are missing or too many are refused, rather than left as they are.
            **overrides: Arguments of the module to change, such as `learning_rate`; not those the network is made of.

        Raises:
            InputError: If the file is missing, damaged, not this library's, or of another task, or an override
                contradicts it.
        """
        return load_module(cls, checkpoint_path, overrides, strict=strict).to(map_location)
