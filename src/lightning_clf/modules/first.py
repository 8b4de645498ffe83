"""The network is there before any callback is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lightning.pytorch import Callback, LightningModule, Trainer

if TYPE_CHECKING:
    from lightning_clf.modules.built import BuiltModule


class BuildFirst(Callback):
    """Builds the module before other callbacks are set up.

    Lightning sets up the datamodule, then callbacks, then the module. Its callbacks for averaged weights copy the
    module when they are set up, and would copy one without a network. A module puts this before them by itself.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Build the module; its own setup finds it built."""
        cast("BuiltModule", pl_module).take_shape(stage)
