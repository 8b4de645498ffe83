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

    def predict_dataloader(self) -> Any:
        """Batches of the test split, each example once: what `trainer.predict` answers.

        They come by length; the `example_ids` of an answer say which rows it is of. Rows without labels are for
        `lightning_clf.load_classifier`, or `lightning_clf.inference.Classifier` of a module's `artefact`.
        """
        return self.test_dataloader()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or another process is given: all but the Trainer, as of a module."""
        return {**self.__dict__, "trainer": None}
