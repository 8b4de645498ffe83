"""SST-2: whether a sentence from a film review is positive."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.data.sequence import SequenceDataModule
from lightning_clf.data.sources import Corpus


class SST2DataModule(SequenceDataModule):
    """The Stanford Sentiment Treebank with two classes.

    From the hub by default, where the test split has no labels; or from a folder or files with the columns `text` and
    `label`, 0 for negative and 1 for positive. The arguments are those of `SequenceDataModule`.
    """

    corpora: ClassVar = {"sst2": Corpus("stanfordnlp/sst2")}
    known_labels = ("negative", "positive")
    kinds = ("single",)
