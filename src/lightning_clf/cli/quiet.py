"""Holding back what Lightning says of other ways to use it than this command's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_FALSE_ALARMS = (
    "Experiment logs directory .* exists and is not empty",  # ours: the run folder has held the configuration already
    "Checkpoint directory .* exists and is not empty",  # the same
    "The '.*_dataloader' does not have many workers",  # rows are encoded beforehand, and collating them is cheap
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
)
_ADVERTISEMENT = "litlogger"


@contextmanager
def without_false_alarms() -> Iterator[None]:
    """Hold back warnings that are untrue of the runs this command makes, and advertisements."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            for message in _FALSE_ALARMS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return _ADVERTISEMENT not in record.getMessage()
