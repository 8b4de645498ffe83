"""What the command takes for data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import LightningDataModule


class DataModule(LightningDataModule, ABC):
    """The data of one task, `BaseDataModule`, or of several, `MultiTaskDataModule`."""

    @abstractmethod
    def train_dataloader(self) -> Any:
        """Batches of the train split, in an order of their own each epoch."""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or another process is given: all but the Trainer, as of a module."""
        return {**self.__dict__, "trainer": None}
