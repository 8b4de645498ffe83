"""What Lightning says on standard error, without what is not meant for users of this command."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_clf.errors import printable

_FALSE_ALARMS = (
    "Experiment logs directory .* exists and is not empty",  # ours: the run folder has held the configuration already
    "You're resuming from a checkpoint that ended before the epoch ended",  # the datamodule knows where it stands
    "The number of training batches .* is smaller than the logging interval",  # epochs are logged whatever it is
    "The '.*_dataloader' does not have many workers",  # rows are encoded beforehand, and collating them is cheap
    "It is recommended to use `self.log.*sync_dist=True",  # they are counted over all processes before
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
)
# an advertisement, and what no user acts upon
_IDLE_TALK = ("litlogger", "TPU available: False", "Loading `train_dataloader` to estimate")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Write a warning in one line; hold back those that are untrue of this command's runs, and idle talk."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            for message in _FALSE_ALARMS:
                warnings.filterwarnings("ignore", message)
            warnings.showwarning = _show
            yield
    finally:
        logger.removeFilter(_is_news)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Hold back what Lightning and the datamodules say in passing, but for warnings."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning_clf")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _show(message: Warning | str, *details: Any, **more: Any) -> None:
    print(f"warning: {printable(str(message))}", file=sys.stderr)


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(talk in message for talk in _IDLE_TALK)
