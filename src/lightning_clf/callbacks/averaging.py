"""What Lightning's own callbacks for averaged weights leave to be saved, exported and kept."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging


def checkpoints_differ(trainer: Trainer) -> bool:
    """Whether checkpoints hold other weights than the module that is trained.

    So it is under `WeightAveraging` and `EMAWeightAveraging` (Polyak and Juditsky 1992): what is validated and written
    is the average, and what goes on training is not.
    """
    return any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def ends_with_mean(trainer: Trainer) -> bool:
    """Whether the module holds a mean over epochs that no validation has judged.

    So it is once `StochasticWeightAveraging` (Izmailov et al. 2018) has come to the last epoch; a fit that was stopped
    before has no mean.
    """
    return any(
        isinstance(callback, StochasticWeightAveraging)
        and callback.n_averaged is not None
        and trainer.current_epoch > callback.swa_end
        for callback in trainer.callbacks  # type: ignore[attr-defined]
    )
