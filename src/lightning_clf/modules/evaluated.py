"""The steps that learn nothing: each loader's batches go to the module that they are for."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from lightning_clf.batch import Batch
from lightning_clf.modules.stage import ScoredModule
from lightning_clf.prediction import RowPredictions


class OfOneTask(Protocol):
    """What batches are handed to."""

    def evaluate(self, batch: Batch, stage: str) -> None:
        """One forward pass; counts what it scores."""

    def answer(self, batch: Batch) -> RowPredictions:
        """One forward pass; decides what it scores."""


class EvaluatedModule(ScoredModule):
    """A module that is validated, tested and asked, with a loader for each of its tasks."""

    @abstractmethod
    def of_loader(self, place: int) -> OfOneTask:
        """What the batches of a loader are handed to, by the place of the loader among those of a stage."""

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """One forward pass over validation data."""
        self.of_loader(dataloader_idx).evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """One forward pass over test data."""
        self.of_loader(dataloader_idx).evaluate(batch, "test")

    def predict_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> RowPredictions:
        """The answers to a batch, with the positions of its rows.

        `trainer.predict(module, datamodule)` returns them for the test split, as it returns anything: of this process,
        batch by batch, and of several tasks a list for each. Batches come by length: sort by `example_ids`.
        """
        return self.of_loader(dataloader_idx).answer(batch)
