"""Which number a run watches, and which way is better."""

from __future__ import annotations

from lightning.pytorch import LightningModule

from lightning_clf.errors import InputError
from lightning_clf.modules.base import ClassifierModule

_LOWER_IS_BETTER = ("loss", "hamming_loss", "mse", "ece")


def watched(module: LightningModule, mode: str, key: str) -> str:
    """The name of the module's `monitor`, once the module knows its labels.

    Args:
        module: The module that is trained.
        mode: Which way is better, `max` or `min`, by the configuration.
        key: The configuration's key for that.

    Raises:
        InputError: If the module is not of this library, or lower is better and the mode says otherwise.
    """
    if not isinstance(module, ClassifierModule):
        raise InputError(f"{type(module).__name__} is not a ClassifierModule: use Lightning's own callbacks with it")
    if mode == "max" and module.monitor.rpartition("/")[2] in _LOWER_IS_BETTER:
        raise InputError(f"model.monitor {module.monitor!r} is the better the lower it is: set {key} to min")
    return module.monitor
