"""Which number a run watches, and which way is better."""

from __future__ import annotations

from collections.abc import Collection

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_clf.errors import InputError
from lightning_clf.modules.trained import TrainedModule

_REMEDY = (
    "set BestCheckpoint(mode={0!r}) and TaskEarlyStopping(mode={0!r}), or in a configuration checkpoint.mode and "
    "early_stopping.mode to {0}"
)
_LOWER_IS_BETTER = ("loss", "hamming_loss", "mse", "ece")
_HIGHER_IS_BETTER = (
    *("accuracy", "f1", "precision", "recall", "entity", "auroc", "average", "pearson", "spearman"),
    *("map", "mrr"),
    "mean",  # of what several tasks are judged by
)


def watched(module: LightningModule, mode: str) -> str:
    """The name of the module's `monitor`, once the module knows its labels.

    Args:
        module: The module that is trained.
        mode: Which way is better, `max` or `min`, by the configuration.

    Raises:
        InputError: If the module is not of this library, or lower is better and the mode says otherwise.
    """
    if not isinstance(module, TrainedModule):
        raise InputError(f"{type(module).__name__} is not a ClassifierModule: use Lightning's own callbacks with it")
    name = module.monitor.removeprefix("val/")
    for prefix in module.scores("val"):
        name = name.removeprefix(prefix)
    if mode == "min" and name.partition("/")[0].partition("_")[0] in _HIGHER_IS_BETTER:
        raise InputError(f"model.monitor {module.monitor!r} is the better the higher it is: {_REMEDY.format('max')}")
    if mode == "max" and name in _LOWER_IS_BETTER:
        raise InputError(f"model.monitor {module.monitor!r} is the better the lower it is: {_REMEDY.format('min')}")
    return module.monitor


def check_logged(module: LightningModule, monitor: str, logged: Collection[str]) -> None:
    """Hold the name of what is watched against what was logged.

    Args:
        module: The module that is trained.
        monitor: Its `monitor`.
        logged: Every name that the fit has logged, a validation's included.

    Raises:
        InputError: If it is none of them.
    """
    if monitor not in logged:
        tasks = module.scores("val") if isinstance(module, TrainedModule) else {}
        if tasks and all(scores.is_empty for scores in tasks.values()):
            raise InputError(
                f"model.monitor {monitor!r} was not logged, since {type(module).__name__}.validation_step counts "
                "nothing: have it call super().validation_step(…), or self.log what model.monitor names"
            )
        begins = [f"{stage}/{task}" for stage in ("train", "val") for task in ("", *tasks)]
        known = sorted({name for name in logged for begin in begins if "/" not in name.removeprefix(begin)})
        raise InputError(f"model.monitor {monitor!r} is not a metric of this task: use one of {', '.join(known)}")


def warn_if_undefined(trainer: Trainer, monitor: str) -> bool:
    """Warn where the last validation has no number to judge by.

    Args:
        trainer: The Trainer, after a validation.
        monitor: What is watched.

    Returns:
        Whether it warned: a caller warns once a fit.
    """
    value = trainer.callback_metrics.get(monitor)
    if trainer.sanity_checking or value is None or not value.isnan():
        return False
    rank_zero_warn(
        f"{monitor} is undefined (NaN) in epoch {trainer.current_epoch}, as where all scores are the same or no row "
        "counts: such an epoch is worse than any with a number; if it stays so, choose another model.monitor"
    )
    return True
