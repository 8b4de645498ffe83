"""What Lightning's callbacks for averaged weights need of a module: to be there when they copy it."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from lightning_clf.cpu import keep_freed_memory, take_memory


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """The Trainer's callbacks, of which its class does not say that it has them."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return callbacks


def take_shape(trainer: Trainer, module: LightningModule, stage: str) -> None:
    """Have a module build what is not built yet; on a CPU in memory that stays with the process, and is its own."""
    is_on_cpu = trainer.strategy.root_device.type == "cpu"
    if is_on_cpu:
        keep_freed_memory()
    if build := getattr(module, "take_shape", None):  # a Trainer may be used again, with another's module
        build(stage)
    if is_on_cpu and stage == "fit":
        take_memory(module)


class BuildFirst(Callback):
    """Builds the module before other callbacks are set up.

    Lightning sets up the datamodule, then callbacks, then the module. Its callbacks for averaged weights copy the
    module when they are set up, and would copy one without a network. A module puts this before them by itself.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Build the module; its own setup finds it built."""
        for callback in callbacks_of(trainer):
            if isinstance(callback, WeightAveraging):
                # an average of buffers rounds those that are whole numbers, such as positions; they are copied instead
                callback._use_buffers = False
        take_shape(trainer, pl_module, stage)
