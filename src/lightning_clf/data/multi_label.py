"""Texts with any number of labels."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.data.sequence import SequenceDataModule
from lightning_clf.data.sources import Corpus


class MultiLabelDataModule(SequenceDataModule):
    """Texts with any number of labels each: GoEmotions by default, or your own.

    Rows have a list in `labels`, or in CSV one cell with a separator (`label_separator`) or one column a label
    (`label_columns`). The arguments are those of `SequenceDataModule`.
    """

    corpora: ClassVar = {"go_emotions": Corpus("google-research-datasets/go_emotions", subset="simplified")}
    kinds = ("multi",)
