"""What a datamodule takes from the module it feeds: the tokenizer, and of a trained one the window."""

from __future__ import annotations

from lightning.pytorch import LightningModule

from lightning_clf.data.datamodule import DataModule
from lightning_clf.encoding import Tokenizer
from lightning_clf.errors import InputError, check_number


class FeedingDataModule(DataModule):
    """A datamodule that is made for one module, whether in a Trainer or without one.

    Attributes:
        tokenizer: The tokenizer, where no module brings one.
        task_module: The module these data are for, where the Trainer's is of several tasks.

    Args:
        max_length: The window in subwords; `None` is a trained model's own, else 128.
        stride: How many subwords a window repeats; `None` is a trained model's own, else texts are cut off.

    Raises:
        InputError: If a number is out of range.
    """

    tokenizer: Tokenizer | None = None
    task_module: LightningModule | None = None

    def __init__(self, max_length: int | None, stride: int | None) -> None:
        super().__init__()
        self._max_length, self._stride = _subwords("max_length", max_length, 1), _subwords("stride", stride, 0)

    @property
    def max_length(self) -> int:
        """The window in subwords: as given, else that of a trained module, else 128."""
        return self._max_length or getattr(self._module(), "max_length", None) or 128

    @property
    def stride(self) -> int | None:
        """How many subwords a window repeats: as given, else a trained module's; `None` cuts texts off."""
        return getattr(self._module(), "stride", None) if self._stride is None else self._stride

    def _module(self) -> LightningModule | None:
        return self.task_module or (self.trainer.lightning_module if self.trainer is not None else None)

    def _tokenizer(self) -> Tokenizer:
        if tokenizer := getattr(self._module(), "tokenizer", None) or self.tokenizer:
            return tokenizer
        raise InputError("the datamodule has no tokenizer: set datamodule.tokenizer, or run it through a Trainer")


def _subwords(key: str, value: int | None, least: int) -> int | None:
    return None if value is None else check_number(f"data.{key}", value, least=least, most=10**6, whole=True)
