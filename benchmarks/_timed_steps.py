"""A callback that notes how long steps took and what of, for runs that are processes of their own."""

import json
import os
import time
from itertools import pairwise
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
        self._marks: dict[str, list[float]] = {phase: [] for phase in PHASES}

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
            begins = {"data": self._marks["rest"][:-1], "step": self._marks["rest"][:-1]}
            begins |= {after: self._marks[phase][1:] for phase, after in pairwise(PHASES)}
            ends = {phase: marks[1:] for phase, marks in self._marks.items()}
            ends["step"] = ends["rest"]
            seconds = {
                name: [end - begin for begin, end in zip(begins[name], ends[name], strict=True)][WARMUP:]
                for name in ("step", *PHASES)
            }
            Path(os.environ[FILE]).write_text(json.dumps(seconds), encoding="utf-8")

    def _mark(self, phase: str) -> None:
        self._marks[phase].append(time.perf_counter())
