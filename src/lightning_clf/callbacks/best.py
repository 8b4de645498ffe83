"""Keeping the best epoch: as a checkpoint, as an export folder, and in the module when the fit ends."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from lightning_clf.callbacks.averaging import checkpoints_differ, ends_with_mean, warn_of_going_on
from lightning_clf.callbacks.folder import run_files
from lightning_clf.callbacks.monitor import check_logged, warn_if_undefined, watched
from lightning_clf.callbacks.whole_files import WholeFileIO
from lightning_clf.checkpoint import read_checkpoint
from lightning_clf.errors import InputError, check_number
from lightning_clf.heads import Head
from lightning_clf.modules.trained import TrainedModule


class BestCheckpoint(ModelCheckpoint):
    """Keeps `best.ckpt` by the module's `monitor`, exports `best/` each time it changes, and ends the fit with it.

    Both stand in the run folder, beside `last.ckpt`, from which a fit goes on. With Lightning's `WeightAveraging` or
    `EMAWeightAveraging` they hold the averaged weights, which are those that are validated. A fit that
    `StochasticWeightAveraging` ran through ends with its mean, which stands in `averaged.ckpt` and `averaged/`.

    An epoch in which the metric is undefined (NaN) is worse than any with a number; where it always is, the last epoch
    is kept.

    Args:
        mode: Whether more is better: `max` for every metric a module is judged by, `min` for a loss.
        export: Whether each best is also written as a folder, which plain `transformers` loads if the head is the
            architecture's own.
        save_every_n_steps: How often `last.ckpt` is also written within an epoch, in optimiser steps, so that a run
            that is killed loses no more than these. `None` writes it after each validation and upon SIGTERM.

    Raises:
        InputError: If `save_every_n_steps` is below 1.
    """

    def __init__(
        self, mode: Literal["max", "min"] = "max", export: bool = True, save_every_n_steps: int | None = None
    ) -> None:
        if save_every_n_steps is not None:
            check_number("checkpoint.save_every_n_steps", save_every_n_steps, least=1, whole=True)
        super().__init__(filename="best", mode=mode, save_last=True, save_top_k=1, enable_version_counter=False)
        self.export = export
        self.save_every_n_steps = save_every_n_steps
        self._worst = self.kth_value
        self._own_folder: str | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget a former fit: its best is none of another's, as where one callback serves several folds or seeds."""
        self.best_k_models, self.kth_best_model_path, self.kth_value = {}, "", self._worst
        self.best_model_path, self.best_model_score, self.current_score = "", None, None
        self.last_model_path = self._last_checkpoint_saved = ""
        self._last_global_step_saved = self._saved_step = 0
        self._exported_score: Tensor | None = None
        self._judged_by: tuple[str | None, str] | None = None
        self._has_exported = self._has_warned = False
        if self.dirpath == self._own_folder:
            self.dirpath = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the run folder, unless one is given; a checkpoint that a fit goes on from is read after this."""
        if stage == "fit":
            self._begin_anew()
        if self.dirpath is None:
            self.dirpath = self._own_folder = str(run_files(trainer))
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeFileIO()
        with warnings.catch_warnings():  # the folder is the logger's too, or holds the configuration
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        with warnings.catch_warnings():  # `on_fit_end` says it of the whole run, and what to do
            warnings.filterwarnings("ignore", ".* could not find the monitored key")
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    @property
    def _has_number(self) -> bool:
        """Whether what is the best so far was judged by a number."""
        return self.best_model_score is not None and bool(self.best_model_score.isfinite())

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Whether an epoch is the best so far: any is, as long as none before it had a number."""
        if current is not None and not self._has_number:
            return True
        return super().check_monitor_top_k(trainer, current)

    @property
    def state_key(self) -> str:
        """The name of this callback's state in checkpoints, which are read before the metric is known."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """As Lightning's, with what makes two numbers comparable."""
        return {**super().state_dict(), "mode": self.mode}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a run was left, wherever its folder is now."""
        super().load_state_dict(self._at_home(state_dict))
        self._exported_score = self.best_model_score
        self._judged_by = state_dict["monitor"], state_dict.get("mode", self.mode)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Warn where what goes on will not be what it would have been."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        warn_of_going_on(trainer)

    def _at_home(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state with the paths of this run folder: Lightning forgets the best where they differ."""
        folder = Path(str(self.dirpath))
        moved = {path: str(folder / Path(path).name) for path in (*state["best_k_models"], state["best_model_path"])}
        if not all(Path(path).is_file() for path in moved.values()):
            return state  # another folder, which does not hold the run's best
        return {
            **state,
            "dirpath": str(folder),
            "best_model_path": moved[state["best_model_path"]],
            "kth_best_model_path": moved.get(state["kth_best_model_path"], ""),
            "best_k_models": {moved[path]: score for path, score in state["best_k_models"].items()},
            "last_model_path": str(folder / Path(state["last_model_path"]).name) if state["last_model_path"] else "",
        }

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the metric from the module, which chooses it once it knows its labels.

        Raises:
            InputError: If `mode` is not the metric's, or the best of the run so far was chosen by another.
        """
        self.monitor = watched(pl_module, self.mode)
        if self._judged_by is None and (kept := Path(str(self.dirpath)) / "best.ckpt").is_file():
            rank_zero_warn(f"{kept} is of another fit, and is replaced: give each fit a trainer.default_root_dir")
        now, before = (self.monitor, self.mode), self._judged_by
        if self.best_model_score is not None and before is not None and before != now:
            raise InputError(
                f"model.monitor and checkpoint.mode are {now[0]!r} and {now[1]}, but the checkpoint's best was chosen "
                f"by {before[0]!r} and {before[1]}: set them to that, or train anew"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where training stands."""
        super().on_train_start(trainer, pl_module)
        self._saved_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save `last.ckpt` if enough steps were taken."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        step, every = trainer.global_step, self.save_every_n_steps
        # batches that are accumulated end at the same step
        if not every or step % every or step == self._saved_step or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if _validates_next(trainer, batch_idx):  # and saves then: a run that went on from here would leave that out
            return
        self._saved_step = step
        judged = self._last_global_step_saved  # by which Lightning tells whether a step still has to be judged
        self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._last_global_step_saved = judged

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, and export if this epoch is the best so far.

        Raises:
            InputError: If there is no metric of the name `monitor`; said after the sanity check, before any training.
        """
        if trainer.state.fn == TrainerFn.FITTING:
            check_logged(pl_module, str(self.monitor), trainer.callback_metrics)
            self._has_warned = self._has_warned or warn_if_undefined(trainer, str(self.monitor))
        super().on_validation_end(trainer, pl_module)
        if not self._should_save_on_train_epoch_end(trainer):
            self._after_saving(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save at the end of an epoch where Lightning saves there, and export if it is the best so far."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._should_save_on_train_epoch_end(trainer):
            self._after_saving(trainer)

    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        # first what was the best, then what a run goes on from: killed between the two, it does both once more
        if self.best_model_score is not self._exported_score:
            self._exported_score = self.best_model_score
            self._export(trainer, trainer.lightning_module)
        super()._save_last_checkpoint(trainer, monitor_candidates)

    def _after_saving(self, trainer: Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            # not the best: Lightning leaves last.ckpt as it was, and a fit would go on from there
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def _export(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._has_exported = True
        if not self.export or not trainer.is_global_zero:
            return
        module = cast(TrainedModule, pl_module)
        if checkpoints_differ(trainer):
            with torch.random.fork_rng(devices=[]):  # weights are random before they are loaded
                module = type(module).load_from_checkpoint(self.best_model_path)
        module.export(self.export_folder)

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        try:
            super()._save_checkpoint(trainer, filepath)
        except OSError as error:
            raise InputError(
                f"checkpoint {filepath} cannot be written ({error.strerror or error}): free space, or set "
                "trainer.default_root_dir to another folder"
            ) from error

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save `last.ckpt` where a scheduler stops the run between two steps."""
        super().on_exception(trainer, pl_module, exception)
        if isinstance(exception, SIGTERMException) and trainer.training:
            self._save_checkpoint(trainer, str(Path(str(self.dirpath)) / "last.ckpt"))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the best epoch's weights back, and say which it was."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning gives it to every Trainer
            return
        if not self.best_model_path or not Path(self.best_model_path).is_file():
            rank_zero_warn(
                "no epoch was validated, so that none is the best: there is no best.ckpt and no export. Give dev data, "
                "and let trainer.max_steps, limit_val_batches and check_val_every_n_epoch reach a validation"
            )
            return
        if ends_with_mean(trainer):
            self._keep_mean(trainer, cast(TrainedModule, pl_module))
            return
        checkpoint = read_checkpoint(self.best_model_path)
        pl_module.load_state_dict(checkpoint["state_dict"])
        if not self._has_exported:  # the best is of an earlier part of the run, which may have died before its export
            self._export(trainer, pl_module)
        rank_zero_info(
            f"best: {self._judgement(checkpoint['epoch'])} kept in {self.best_model_path}"
            + (f" and exported to {self.export_folder}" if self.export else "")
        )
        if self.export and (who := readers(cast(TrainedModule, pl_module).heads)):
            rank_zero_info(who)

    def _judgement(self, epoch: int) -> str:
        """By what the best was chosen, as the line that says where it is begins."""
        if self.best_model_score is None:  # it is of a run that this one went on from in another folder
            return f"that of the run before, epoch {epoch},"
        if not self._has_number:
            return f"none, as {self.monitor} was undefined in every validation; the last, in epoch {epoch}, is"
        return f"{self.monitor} {self.best_model_score:.4f} in epoch {epoch},"

    def _keep_mean(self, trainer: Trainer, module: TrainedModule) -> None:
        """Save and export the mean of the weights, which the module keeps: it is what the run was for."""
        path = Path(str(self.dirpath)) / "averaged.ckpt"
        self._save_checkpoint(trainer, str(path))
        if self.export and trainer.is_global_zero:
            module.export(path.with_suffix(""))
        number = f"{self.monitor} {self.best_model_score:.4f}" if self._has_number else "none, as all were undefined"
        rank_zero_info(
            f"averaged weights, which no epoch has validated: kept in {path}"
            + (f" and exported to {path.with_suffix('')}" if self.export else "")
            + f"; best single epoch: {number}, in {self.best_model_path}"
        )

    @property
    def export_folder(self) -> Path:
        """Where the best is exported to."""
        return Path(str(self.dirpath)) / "best"


def readers(heads: Iterable[Head]) -> str:
    """Who reads an export with these heads; nothing where plain transformers do."""
    classes = sorted({type(head) for head in heads if not head.is_stock}, key=lambda one: one.__name__)
    if not classes:
        return ""
    modules = dict.fromkeys(one.__module__ for one in classes if one.__module__.partition(".")[0] != "lightning_clf")
    if modules:
        trusted = " and ".join(f"--import {module}" for module in modules)
        return f"lightning-clf reads this export with {trusted}; without it transformers read the encoder alone"
    names = f"{' and '.join(one.__name__ for one in classes)} {'is' if len(classes) == 1 else 'are'} ours"
    return f"lightning-clf reads this export; without it transformers read the encoder alone, as {names}"


def _validates_next(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation follows the batch that has just been trained on."""
    steps = trainer.max_steps
    if trainer.is_last_batch or 0 <= steps <= trainer.global_step:
        return (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
    every = trainer.val_check_batch or 0  # none where validation goes by the clock
    return every > 0 and (batch_idx + 1) % every == 0
