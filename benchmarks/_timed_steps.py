"""A callback that notes how long steps took, for runs that are processes of their own."""

import json
import os
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

FILE = "TIMED_STEPS"
WARMUP = 20


class TimedSteps(Callback):
    """Writes, at the end of training, the seconds of each step after the first ones to the file of a variable."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Note when a step ended."""
        self._ends.append(time.perf_counter())

    def on_train_end(self, trainer: Trainer, *others: Any) -> None:
        """Write what the first process noted."""
        if trainer.is_global_zero:
            seconds = [end - start for start, end in zip(self._ends, self._ends[1:], strict=False)]
            Path(os.environ[FILE]).write_text(json.dumps(seconds[WARMUP:]), encoding="utf-8")
