"""Stopping when the task's own metric no longer improves."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_clf.callbacks.best import BestCheckpoint
from lightning_clf.callbacks.monitor import check_logged, warn_if_undefined, watched
from lightning_clf.errors import InputError, check_number

_NEVER = 2**31


class TaskEarlyStopping(EarlyStopping):
    """Early stopping by the module's `monitor`, off unless given a patience.

    A run that it has stopped goes on from its checkpoint with more patience: what was waited for counts, the patience
    of before does not. A validation in which the metric is undefined (NaN) is one without improvement.

    Args:
        patience: How many validations without improvement to wait for; `None` never stops early, since a schedule that
            goes down to 0 is meant to be run to its end.
        min_delta: The least change that counts as improvement.
        mode: Whether more is better: `max` for every metric a module is judged by, `min` for a loss.

    Raises:
        InputError: If `patience` is no whole number of 1 or more.
    """

    def __init__(
        self, patience: int | None = None, min_delta: float = 0.0, mode: Literal["max", "min"] = "max"
    ) -> None:
        if isinstance(patience, int) and patience < 1:
            raise InputError(f"early_stopping.patience is {patience}: give 1 or more, or null to never stop early")
        if patience is not None:
            check_number("early_stopping.patience", patience, least=1, whole=True)
        # never stopping is an endless patience: one code path, and the state in a checkpoint stays the same
        super().__init__(
            monitor="",
            min_delta=min_delta,
            patience=_NEVER if patience is None else patience,
            mode=mode,
            strict=False,
            check_finite=False,  # constant scores, as a first epoch may have, leave a correlation undefined
        )
        self._has_warned = False
        self._worst = self.best_score

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget a former fit; a checkpoint that a fit goes on from is read after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.best_score, self.wait_count = self._worst, 0
            self._forget_stop()

    @property
    def state_key(self) -> str:
        """The name of this callback's state in checkpoints, which are read before the metric is known."""
        return type(self).__qualname__

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was waited for, with this instance's patience; a run that was stopped goes on."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience
        self._forget_stop()

    def _forget_stop(self) -> None:
        self.stopped_epoch = 0
        self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the metric from the module, which chooses it once it knows its labels.

        Raises:
            InputError: If `mode` is not the metric's.
        """
        if self.patience < _NEVER:
            self.monitor = watched(pl_module, self.mode)
        self._has_warned = any(isinstance(one, BestCheckpoint) for one in trainer.checkpoint_callbacks)  # which warns

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge the validation, where it is not the epoch's end that is judged.

        Raises:
            InputError: If there is no metric of the name `monitor`; said after the sanity check, before any training.
        """
        if trainer.state.fn == TrainerFn.FITTING and self.patience < _NEVER:
            check_logged(pl_module, self.monitor, trainer.callback_metrics)
        if not self._has_warned and not self._should_skip_check(trainer):
            self._has_warned = warn_if_undefined(trainer, self.monitor)
        super().on_validation_end(trainer, pl_module)

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        # as long as there is no number, the first validation is none that could have been better than another
        if current.isnan() and not self.best_score.isfinite() and self.wait_count < self.patience:
            self.wait_count += 1
            return False, None
        return super()._evaluate_stopping_criteria(current)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say that, and why, the fit ended before its last epoch."""
        super().on_train_end(trainer, pl_module)
        if self.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            rank_zero_info(f"stopped early, after epoch {self.stopped_epoch}: {self._why()}")

    def _why(self) -> str:
        if self.stopping_reason != EarlyStoppingReason.PATIENCE_EXHAUSTED:  # by what a subclass asks for besides
            return self.stopping_reason_message or self.stopping_reason.name
        if not self.best_score.isfinite():
            return f"{self.monitor} was undefined in {self.wait_count} validations (early_stopping.patience)"
        return (
            f"{self.monitor} has not been better than {self.best_score:.4f} for {self.wait_count} validations "
            "(early_stopping.patience)"
        )
