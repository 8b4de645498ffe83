"""What a fit says of each validation where no bar shows it, as in a file or a scheduler's log."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info


class EpochLines(Callback):
    """A line after each validation: the loss, and what the module is judged by."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it, but for the check before training."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        names = dict.fromkeys(["val/loss", str(getattr(pl_module, "monitor", ""))])
        values = [f"{name} {trainer.callback_metrics[name]:.4f}" for name in names if name in trainer.callback_metrics]
        rank_zero_info(f"epoch {trainer.current_epoch}, step {trainer.global_step}: {', '.join(values) or 'validated'}")
