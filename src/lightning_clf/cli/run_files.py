"""What the command itself writes to a run folder: the configuration and the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_info

from lightning_clf.cli.run_folder import keep_part


def run_loggers(folder: Path) -> list[Logger]:
    """The loggers of a fit that names none: TensorBoard, and CSV, both in the run folder itself."""
    return [make(folder, name="", version="") for make in (TensorBoardLogger, RunCSVLogger)]


class RunCSVLogger(CSVLogger):
    """Lightning's, but that what an earlier part of the run logged is kept: it deletes what it finds."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The file's writer, made when it is first asked for."""
        if self._experiment is None:
            keep_part(Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE)
        writer: ExperimentWriter = super().experiment
        return writer


class RunConfig(SaveConfigCallback):
    """Writes the run's configuration to its folder, without the checkpoint it goes on from: fit it, and it is anew."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace, **options: Any) -> None:
        config = config.clone()
        del config["ckpt_path"]  # a null that follows --ckpt_path on the command line would take its place
        super().__init__(parser, config, save_to_log_dir=False, **options)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write it, wherever a logger keeps its files."""
        path = Path(trainer.default_root_dir) / self.config_filename
        rank_zero_info(f"run folder: {path.parent}")
        keep_part(path)
        self.parser.save(self.config, path, skip_none=False, overwrite=True, multifile=self.multifile)
