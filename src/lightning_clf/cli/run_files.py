"""What the command itself writes to a run folder: the configuration and the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_info

from lightning_clf.cli.run_folder import keep_part


def run_loggers(folder: Path) -> list[Logger]:
    """The loggers of a fit that names none: TensorBoard, and CSV, both in the run folder itself."""
    return [make(folder, name="", version="") for make in (RunTensorBoardLogger, RunCSVLogger)]


class _FromTraining(Logger):
    """A logger that has no file before there is training: Lightning opens it before it has the data.

    Attributes:
        begun: Whether training has begun.
    """

    begun = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file, made when it is first asked for in training."""
        return super().experiment if self.begun else _DummyExperiment()  # type: ignore[misc]  # which every logger has


class RunTensorBoardLogger(_FromTraining, TensorBoardLogger):
    """Lightning's, from training on."""


class RunCSVLogger(_FromTraining, CSVLogger):
    """Lightning's, from training on, but that what an earlier part of the run logged is kept, which it deletes."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file."""
        if self.begun and self._experiment is None:
            keep_part(Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE)
        return super().experiment


class RunConfig(SaveConfigCallback):
    """Has the run's files begin with its training, so that a fit that is refused leaves all as it was.

    They are those of its loggers, and its configuration without the checkpoint it goes on from: fit it, and it is anew.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace, **options: Any) -> None:
        config = config.clone()
        del config["ckpt_path"]  # a null that follows --ckpt_path on the command line would take its place
        super().__init__(parser, config, save_to_log_dir=False, **options)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet: data or a checkpoint may still be refused."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin them."""
        for logger in trainer.loggers:
            if isinstance(logger, _FromTraining):
                logger.begun = True
        super().setup(trainer, pl_module, "fit")

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write it, wherever a logger keeps its files."""
        path = Path(trainer.default_root_dir) / self.config_filename
        rank_zero_info(f"run folder: {path.parent}")
        keep_part(path)
        self.parser.save(self.config, path, skip_none=False, overwrite=True, multifile=self.multifile)
