"""`lightning-clf fit|validate|test`: LightningCLI over our modules and datamodules."""

from __future__ import annotations

import argparse
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.fabric.utilities.exceptions import MisconfigurationException

# imported whole, so that a short class name in a configuration finds them
from lightning_clf.callbacks import BestCheckpoint, ClassReport, TaskEarlyStopping
from lightning_clf.cli.configs import default_to_run, resolve_configs
from lightning_clf.cli.messages import one_line
from lightning_clf.cli.resume import module_from_checkpoint
from lightning_clf.cli.run_folder import run_folder
from lightning_clf.data import BaseDataModule
from lightning_clf.errors import InputError
from lightning_clf.modules import ClassifierModule

_LOGGERS = (TensorBoardLogger, CSVLogger)
_COMMANDS = ("fit", "validate", "test")
_TRAINER_DEFAULTS = {
    "default_root_dir": "runs/run",
    "max_epochs": 3,  # what the BERT paper fine-tunes for
    "use_distributed_sampler": False,  # the datamodules shard themselves: Lightning's sampler repeats rows to fill up
    "enable_model_summary": False,
    "callbacks": [ClassReport()],
}


def run_training(command: str, options: list[str]) -> None:
    """Run one of Lightning's commands.

    Raises:
        InputError: If the configuration, the data or a checkpoint is not as it should be.
    """
    try:
        TrainingCLI(
            ClassifierModule,
            BaseDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults=_TRAINER_DEFAULTS,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"exit_on_error": False, **{name: {"exit_on_error": False} for name in _COMMANDS}},
            args=[command, *resolve_configs(default_to_run(options))],
        )
    except argparse.ArgumentError as error:
        raise InputError(one_line(str(error))) from error
    except MisconfigurationException as error:
        raise InputError(" ".join(str(error).split())) from error


class TrainingCLI(LightningCLI):
    """LightningCLI that takes model and labels from a checkpoint, and reads as little as it must."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's commands but for `predict`, which is ours."""
        return {name: methods for name, methods in LightningCLI.subcommands().items() if name in _COMMANDS}

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Trainer, model and data; a model is not required, since a checkpoint may bring it."""
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults(
            {f"trainer.{name}": value for name, value in self.trainer_defaults.items() if name != "callbacks"}
        )
        parser.add_lightning_class_args(ClassifierModule, "model", subclass_mode=True, required=False)
        parser.add_lightning_class_args(BaseDataModule, "data", subclass_mode=True, required=False)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The two callbacks that have keys of their own."""
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(TaskEarlyStopping, "early_stopping")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, without the warning LightningCLI has for arguments given in Python."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Nothing: `instantiate_classes` takes the model from the checkpoint, and checks instead of overriding."""

    def instantiate_classes(self) -> None:
        """Make data, model and Trainer; the model from the checkpoint where one is given."""
        self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule = self._get(self.config_init, "data")
        given: ClassifierModule | None = self._get(self.config_init, "model")
        checkpoint = self._get(self.config_init, "ckpt_path")
        if self.datamodule is None:
            raise InputError("no data are given: use --config with a file that has a data section, or --data CLASS")
        if checkpoint is not None:
            self.model = module_from_checkpoint(checkpoint, given)
        elif given is None:
            raise InputError(
                "no model is given: use --config with a file that has a model section, or --ckpt_path FILE"
            )
        elif self.subcommand != "fit":
            raise InputError(f"{self.subcommand} needs a trained model: give --ckpt_path FILE, such as RUN/best.ckpt")
        else:
            self.model = given
        self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose files are all in one run folder; fits log to TensorBoard and CSV unless told otherwise."""
        settings = self._get(self.config_init, "trainer")
        command, checkpoint = str(self.subcommand), self._get(self.config_init, "ckpt_path")
        folder = run_folder(command, settings.default_root_dir, checkpoint)
        if settings.logger in (None, True):
            # scores of a checkpoint are written by the class report; a CSV logger would replace those of its training
            kwargs["logger"] = [make(folder, name="", version="") for make in _LOGGERS] if command == "fit" else False
        return super().instantiate_trainer(default_root_dir=str(folder), **kwargs)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if subcommand != "fit":
            kwargs["verbose"] = False  # the class report prints what matters
        return kwargs
