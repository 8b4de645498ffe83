"""Natural language inference: whether one text follows from another."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.data.sequence import SequenceDataModule
from lightning_clf.data.sources import SPLIT_NAMES, Corpus


class NLIDataModule(SequenceDataModule):
    """Pairs of texts with entailment, neutral or contradiction.

    `source` may be `snli` (the default), `multinli` or `sick` for these corpora from the hub; or a folder or files with
    the columns `text`, `text_pair` and `label`, in capitals or not. Rows on which the annotators did not agree, -1 on
    the hub, are left out. The arguments are those of `SequenceDataModule`.

    MultiNLI's test labels are secret: its matched validation split is val here, and the mismatched one is test.
    """

    corpora: ClassVar = {
        "snli": Corpus("stanfordnlp/snli"),
        "multinli": Corpus("nyu-mll/multi_nli"),
        "sick": Corpus("RobZamp/sick", revision="refs/convert/parquet"),
    }
    split_names: ClassVar = {
        "train": SPLIT_NAMES["train"],
        "val": (*SPLIT_NAMES["val"], "validation_matched"),
        "test": (*SPLIT_NAMES["test"], "validation_mismatched"),
    }
    known_labels = ("entailment", "neutral", "contradiction")
    kinds = ("single",)
    text_columns = ("text", "premise", "sentence_A", "sentence1")
    pair_columns = ("text_pair", "hypothesis", "sentence_B", "sentence2")
    ignore_case = True
