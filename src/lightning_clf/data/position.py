"""Where training stands in its data, as a checkpoint holds it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

from lightning.pytorch import Trainer


@dataclass(frozen=True)
class Position:
    """The place a run has come to.

    Attributes:
        order: The seed of the order of train's rows.
        epoch: The epoch to train next, or to go on with.
        batches: How many of its batches were taken.
    """

    order: int
    epoch: int = 0
    batches: int = 0

    @classmethod
    def first(cls, seed: int) -> Self:
        """The beginning of a run with this seed; another global seed is another order, as with Lightning's sampler."""
        return cls(seed + int(os.environ.get("PL_GLOBAL_SEED", "0")))

    @classmethod
    def kept(cls, state: dict[str, Any]) -> Self:
        """The place a datamodule's state in a checkpoint says."""
        return cls(state["order"], state["epoch"], state["batches"])

    @classmethod
    def of(cls, trainer: Trainer, order: int) -> Self:
        """The place a Trainer has come to."""
        loop: Any = trainer.fit_loop
        epoch, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
        if epoch.processed == epoch.started:  # between two epochs
            return cls(order, epoch.processed)
        # the last batch of an epoch taken is the next begun, though Lightning has validation to do yet
        return cls(order, epoch.processed + 1) if batches >= loop.max_batches else cls(order, epoch.processed, batches)
