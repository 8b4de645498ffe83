"""Where a run's files go when nobody says."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger


def run_files(trainer: Trainer) -> Path:
    """The folder of a run's checkpoints and reports: that of a logger that keeps one a run, else one of the same kind.

    What other loggers call their folder holds all runs, and for Weights & Biases it is the working folder.
    """
    for logger in trainer.loggers:
        if isinstance(logger, CSVLogger | TensorBoardLogger):
            return Path(logger.log_dir).absolute()
    root = Path(trainer.default_root_dir).absolute()
    if not trainer.loggers:
        return root
    return root / str(trainer.loggers[0].name) / str(trainer.loggers[0].version)
