"""What Lightning's own callbacks for averaged weights leave to be saved, exported and kept."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from lightning_clf.modules.first import callbacks_of


def checkpoints_differ(trainer: Trainer) -> bool:
    """Whether checkpoints hold other weights than the module that is trained.

    So it is under `WeightAveraging` and `EMAWeightAveraging` (Polyak and Juditsky 1992): what is validated and written
    is the average, and what goes on training is not.
    """
    return any(isinstance(callback, WeightAveraging) for callback in callbacks_of(trainer))


def ends_with_mean(trainer: Trainer) -> bool:
    """Whether the module holds a mean over epochs that no validation has judged.

    So it is once `StochasticWeightAveraging` (Izmailov et al. 2018) has come to the last epoch; a fit that was stopped
    before has no mean.
    """
    return any(
        isinstance(callback, StochasticWeightAveraging)
        and callback.n_averaged is not None
        and trainer.current_epoch > callback.swa_end
        for callback in callbacks_of(trainer)
    )


def warn_of_going_on(trainer: Trainer) -> None:
    """Say that a fit that goes on from a checkpoint will not take the rates and the mean it would have had.

    Lightning puts the schedule of `StochasticWeightAveraging` back at another place than where it stood.
    """
    has_swa = any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks_of(trainer))
    if has_swa and trainer.state.fn == TrainerFn.FITTING:
        rank_zero_warn(
            "StochasticWeightAveraging does not go on as if the run had not stopped: learning rates and mean will be "
            "others. Train anew for the exact ones, or use EMAWeightAveraging"
        )
