"""What the command takes for data."""

from __future__ import annotations

from abc import ABC

from lightning.pytorch import LightningDataModule


class DataModule(LightningDataModule, ABC):
    """The data of one task, `BaseDataModule`, or of several, `MultiTaskDataModule`."""
