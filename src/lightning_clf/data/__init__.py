"""Data of every kind a classifier is trained on, as LightningDataModules."""

from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.conll2003 import CoNLL2003DataModule
from lightning_clf.data.datamodule import DataModule
from lightning_clf.data.few_shot import FewShotDataModule
from lightning_clf.data.multi_label import MultiLabelDataModule
from lightning_clf.data.multi_task import MultiTaskDataModule
from lightning_clf.data.nli import NLIDataModule
from lightning_clf.data.sampling import OverSampling, Sampling, UnderSampling
from lightning_clf.data.sequence import SequenceDataModule
from lightning_clf.data.sst2 import SST2DataModule
from lightning_clf.data.token import TokenDataModule

__all__ = [
    "BaseDataModule",
    "CoNLL2003DataModule",
    "DataModule",
    "FewShotDataModule",
    "MultiLabelDataModule",
    "MultiTaskDataModule",
    "NLIDataModule",
    "OverSampling",
    "SST2DataModule",
    "Sampling",
    "SequenceDataModule",
    "TokenDataModule",
    "UnderSampling",
]
