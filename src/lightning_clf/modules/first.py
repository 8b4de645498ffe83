"""What Lightning's callbacks for averaged weights need of a module: to be there when they copy it."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from lightning_clf.cpu import keep_freed_memory


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """The Trainer's callbacks, of which its class does not say that it has them."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return callbacks


class BuildFirst(Callback):
    """Builds the module before other callbacks are set up.

    Lightning sets up the datamodule, then callbacks, then the module. Its callbacks for averaged weights copy the
    module when they are set up, and would copy one without a network. A module puts this before them by itself.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Build the module; its own setup finds it built."""
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        for callback in callbacks_of(trainer):
            if isinstance(callback, WeightAveraging):
                # an average of buffers rounds those that are whole numbers, such as positions; they are copied instead
                callback._use_buffers = False
        if take_shape := getattr(pl_module, "take_shape", None):  # a Trainer may be used again, with another's module
            take_shape(stage)
