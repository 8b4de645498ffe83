"""The parts of a fit, parsed and made as `fit` makes them, and handed to those who examine them."""

from __future__ import annotations

from pathlib import Path

from lightning_clf.cli.quiet import quiet_logs
from lightning_clf.cli.run_folder import next_folder
from lightning_clf.cli.training import TrainingCLI
from lightning_clf.data import BaseDataModule
from lightning_clf.errors import InputError
from lightning_clf.examine import Finding, examine, refused
from lightning_clf.modules import ClassifierModule


def findings_of(words: list[str]) -> list[Finding]:
    """What is to be said of the fit that these words would run.

    Args:
        words: What would follow `fit`.
    """
    try:
        with quiet_logs():
            return Examination.of("fit", words).findings
    except InputError as error:
        return [refused(error)]


class Examination(TrainingCLI):
    """The command's own parsing and making, of a fit that is examined in place of being run.

    Attributes:
        findings: What was found.
    """

    findings: list[Finding]

    def _choose_folder(self, root: str, checkpoint: str | None) -> Path:
        """The run folder of the fit, which is not made."""
        if checkpoint is not None:
            return Path(checkpoint).parent
        return Path(root) if self.from_last else next_folder(root)

    def _run_subcommand(self, subcommand: str) -> None:
        settings, best = self._get(self.config_init, "trainer"), self._get(self.config_init, "checkpoint")
        keeps = settings.enable_checkpointing is not False and best.export
        if not isinstance(self.model, ClassifierModule) or not isinstance(self.datamodule, BaseDataModule):
            raise InputError("doctor looks at one task at a time: give it a configuration of each by itself")
        try:
            self.findings = examine(
                self.model, self.datamodule, settings.as_dict(), best.mode, self.folder / "best" if keeps else None
            )
        except SystemExit as stop:  # as Lightning ends where a fit is stopped
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from stop
            raise
