"""`lightning-clf fit|validate|test`: LightningCLI over our modules and datamodules."""

from __future__ import annotations

import argparse
import contextlib
import gc
import pydoc
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, Self

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException

# imported whole, so that a short class name in a configuration finds them
from lightning_clf.callbacks import BestCheckpoint, ClassReport, TaskEarlyStopping
from lightning_clf.cli.configs import LAST, default_to_run, resolve_configs, value_of, where
from lightning_clf.cli.epoch_lines import EpochLines
from lightning_clf.cli.interrupts import INTERRUPTED
from lightning_clf.cli.messages import classless, explain, of_logger, one_line, unwrapped
from lightning_clf.cli.resume import module_from_checkpoint, nothing_left
from lightning_clf.cli.run_files import RunConfig, run_loggers
from lightning_clf.cli.run_folder import discard_unused, release, run_folder
from lightning_clf.cli.suggestions import class_keys
from lightning_clf.cli.unasked import trusted_imports
from lightning_clf.data import BaseDataModule, DataModule
from lightning_clf.errors import InputError, check_number
from lightning_clf.modules import ClassifierModule, TrainedModule
from lightning_clf.modules.checks import check_comes_back

# what a shell makes of a process that SIGTERM ended
_TERMINATED = 128 + signal.SIGTERM
_COMMANDS = ("fit", "validate", "test")
_SECTIONS: dict[str, type] = {"model": TrainedModule, "data": DataModule}
# whose keys a mistyped one is held against, where no class is known
_USUAL: dict[str, type] = {"model": ClassifierModule, "data": BaseDataModule}
_PARSER = {"exit_on_error": False}
_ABSENT = re.compile(r"No supported \w+ backend found|accelerator is not available")  # as Lightning has it
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
    TrainingCLI.of(command, options)


def _is_of_lightning(error: Exception) -> bool:
    """Whether Lightning's own code raised an error, as against a module's or PyTorch's."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"]).startswith("lightning.")


def _is_on_terminal() -> bool:
    """Whether a bar would be seen as it moves, as against being left in a file."""
    return sys.stdout.isatty() and sys.stderr.isatty()


class TrainingCLI(LightningCLI):
    """LightningCLI that takes model and labels from a checkpoint, and reads as little as it must."""

    @classmethod
    def of(cls, command: str, options: list[str]) -> Self:
        """Parse the words after a command, make what they name, and run it.

        Raises:
            InputError: If the configuration, the data or a checkpoint is not as it should be.
        """
        words = default_to_run(options)
        try:
            with contextlib.nullcontext() if words == options else trusted_imports(options):
                return cls._of([command, *resolve_configs(words)])
        except MisconfigurationException as error:
            raise InputError(one_line(str(error))) from error

    @classmethod
    def _of(cls, words: list[str]) -> Self:
        return cls(
            _SECTIONS["model"],
            _SECTIONS["data"],
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=RunConfig if words[0] == "fit" else None,
            seed_everything_default=0,
            trainer_defaults=_TRAINER_DEFAULTS,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            # an abbreviation is a key misspelt, which the next version may take for another
            parser_kwargs={**_PARSER, "allow_abbrev": False, **{name: dict(_PARSER) for name in _COMMANDS}},
            args=words,
        )

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
        for section, base in _SECTIONS.items():
            parser.add_lightning_class_args(base, section, subclass_mode=True, required=False)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The two callbacks that have keys of their own."""
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(TaskEarlyStopping, "early_stopping")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and remember what was given as against what is default."""
        command, *words = args
        try:
            self.config = parser.parse_args(args)
            self.given = parser.parse_args(args, defaults=False)[command]
        except argparse.ArgumentError as error:
            complaint = explain(str(error), self._known_keys(command))
            raise InputError(where(words, complaint.key) + complaint.text) from error
        if self.config[command].ckpt_path is None:  # as a configuration writes what it leaves open
            self.config[command].ckpt_path = value_of(words, "--ckpt_path")
        self.from_last = command == "fit" and self.config[command].ckpt_path == LAST
        if self.from_last:
            last = Path(self.config[command].trainer.default_root_dir) / "last.ckpt"
            self.config[command].ckpt_path = str(last) if last.is_file() else None
        for section, base in _SECTIONS.items():
            # what has no class of its own is taken for the base, which is none to be used
            if pydoc.locate(self.given.get(f"{section}.class_path", "")) is base:
                raise InputError(where(words, section) + classless(section, base).text)

    def _known_keys(self, command: str) -> list[str]:
        inner = [f"{section}.{key}" for section, base in _USUAL.items() for key in class_keys(base)]
        return [*self._parser(command).get_defaults().keys(), *inner]

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        if not isinstance(seed, bool):
            check_number("seed_everything", seed, least=0, most=2**32 - 1, whole=True)
        super()._set_seed()

    def _parse_ckpt_path(self) -> None:
        """Nothing: `instantiate_classes` takes the model from the checkpoint, and checks instead of overriding."""

    def instantiate_classes(self) -> None:
        """Make data, model and Trainer; the model from the checkpoint where one is given."""
        self._check_sections()
        with unwrapped():
            self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        checkpoint = self._get(self.config_init, "ckpt_path")
        if checkpoint is not None:
            given = self.given.get("model.init_args")
            self.model = module_from_checkpoint(checkpoint, self.model, given.as_dict() if given else {})
            if self.subcommand == "fit":
                trainer = self._get(self.config_init, "trainer")
                self._check_work_left(checkpoint, trainer)
        self.trainer = self.instantiate_trainer()

    def _check_work_left(self, checkpoint: str, trainer: Any) -> None:
        said = nothing_left(checkpoint, self.datamodule, trainer.max_epochs, trainer.max_steps)
        if said is None:
            return
        if not self.from_last:
            raise InputError(said)
        # whoever starts a run until it is done, as schedulers do, is to hear that it is
        rank_zero_info(f"nothing is left to do: {said}")
        raise SystemExit(0)

    def _check_sections(self) -> None:
        has_checkpoint = self._get(self.config, "ckpt_path") is not None
        if self.subcommand != "fit" and not has_checkpoint:
            raise InputError(f"{self.subcommand} needs a trained model: give --ckpt_path FILE, such as RUN/best.ckpt")
        if self._get(self.config, "data") is None:
            raise InputError("no data are given: use --config with a file that has a data section, or --data CLASS")
        if self._get(self.config, "model") is None and not has_checkpoint:
            raise InputError("no model is given: use --config with a file that has a model section, or --model CLASS")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose files are all in one run folder; fits log to TensorBoard and CSV unless told otherwise."""
        settings = self._get(self.config_init, "trainer")
        command, checkpoint = str(self.subcommand), self._get(self.config_init, "ckpt_path")
        self.folder = folder = self._choose_folder(settings.default_root_dir, checkpoint)
        if settings.logger in (None, True):
            # scores of a checkpoint are written by the class report; a CSV logger would replace those of its training
            kwargs["logger"] = run_loggers(folder) if command == "fit" else False
        try:
            return super().instantiate_trainer(default_root_dir=str(folder), **kwargs)
        except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
            discard_unused(folder)
            if isinstance(error, MisconfigurationException):
                if _ABSENT.search(str(error)):
                    raise InputError(
                        f"trainer.accelerator is {settings.accelerator!r}, of which PyTorch finds none here: use "
                        "auto or cpu, or install the driver and the build of PyTorch that it needs"
                    ) from error
                raise  # which names the key itself
            raise InputError(f"trainer: {one_line(str(error))}") from error

    def _choose_folder(self, root: str, checkpoint: str | None) -> Path:
        return run_folder(root, checkpoint, begin_here=self.from_last)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        if config.get("enable_checkpointing") is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, BestCheckpoint)]
        for callback in (*callbacks, *self.trainer_defaults["callbacks"]):
            if isinstance(callback, BestCheckpoint | ClassReport):
                callback.dirpath = str(self.folder)  # wherever a logger keeps its files
        given = config.get("callbacks")
        has_bar = any(isinstance(one, ProgressBar) for one in (given if isinstance(given, list) else [given]))
        if config.get("enable_progress_bar") is None and not has_bar and not _is_on_terminal():
            config["enable_progress_bar"] = False
            callbacks = [*callbacks, EpochLines()]
        return super()._instantiate_trainer(config, callbacks)

    def _run_subcommand(self, subcommand: str) -> None:
        gc.collect()  # what a fit before this one left, as where a script calls the command again and again
        gc.freeze()  # what was imported stays: the collector need not look through all of it again and again
        try:
            if subcommand == "fit":
                check_comes_back(self.trainer)  # in those processes it would be a traceback
            super()._run_subcommand(subcommand)
        except InputError:
            discard_unused(self.folder)
            raise
        except SystemExit as stop:
            if not self.trainer.global_step:
                discard_unused(self.folder)
            if isinstance(stop, SIGTERMException):
                self._say_stopped("SIGTERM")
                raise SystemExit(_TERMINATED) from stop
            if isinstance(stop.__context__, KeyboardInterrupt):
                self._say_stopped("Ctrl-C")
                raise SystemExit(INTERRUPTED) from stop
            raise
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            # Lightning looks at some keys only once it has the data
            if self.trainer.global_step or not _is_of_lightning(error):
                raise
            discard_unused(self.folder)
            raise InputError(f"trainer: {one_line(str(error))}") from error
        except Exception as error:  # of whatever class the logger's package has
            complaint = None if self.trainer.global_step else of_logger(error)
            if complaint is None:
                raise
            discard_unused(self.folder)
            raise complaint from error
        finally:
            gc.unfreeze()
            release(self.folder)

    def _say_stopped(self, by: str) -> None:
        # the best is written first: between the two, it alone is there
        there = next((path for name in ("last", "best") if (path := self.folder / f"{name}.ckpt").is_file()), None)
        how = f"to go on: lightning-clf fit --ckpt_path {there}" if there else "there is nothing to go on from"
        rank_zero_info(f"stopped by {by}; {how}")

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if subcommand != "fit":
            kwargs["verbose"] = False  # the class report prints what matters
        return kwargs
