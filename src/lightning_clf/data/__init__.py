"""Data of every kind a classifier is trained on, as LightningDataModules."""

from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.token import TokenDataModule

__all__ = ["BaseDataModule", "TokenDataModule"]
