"""A callback that notes how long steps took and what of, for runs that are processes of their own."""

import json
import os
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

FILE = "TIMED_STEPS"
WARMUP = 20
PHASES = ("data", "forward", "backward", "rest")
"""What follows what: the next batch; the loss; its gradients; and all up to the end of the step."""


class TimedSteps(Callback):
    """Writes, at the end of training, the seconds of each step after the first ones to the file of a variable."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}
        self._last = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, *others: Any) -> None:
        """Note when there is a batch."""
        self._mark("data")

    def on_before_zero_grad(self, trainer: Trainer, *others: Any) -> None:
        """Note when there is a loss."""
        self._mark("forward")

    def on_after_backward(self, trainer: Trainer, *others: Any) -> None:
        """Note when there are gradients."""
        self._mark("backward")

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Note when a step ended."""
        self._mark("rest")

    def on_train_end(self, trainer: Trainer, *others: Any) -> None:
        """Write what the first process noted."""
        if trainer.is_global_zero:
            seconds = {phase: each[1 + WARMUP :] for phase, each in self._seconds.items()}
            seconds["step"] = [sum(parts) for parts in zip(*seconds.values(), strict=True)]
            Path(os.environ[FILE]).write_text(json.dumps(seconds), encoding="utf-8")

    def _mark(self, phase: str) -> None:
        now = time.perf_counter()
        self._seconds[phase].append(now - self._last)
        self._last = now
