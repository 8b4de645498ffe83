"""CoNLL-2003: persons, organisations, locations and other names in English news."""

from __future__ import annotations

from typing import ClassVar

from lightning_clf.data.sources import SPLIT_NAMES, Corpus
from lightning_clf.data.token import TokenDataModule


class CoNLL2003DataModule(TokenDataModule):
    """The English data of the CoNLL-2003 shared task.

    From the hub by default; or from a folder with the shared task's own `eng.train`, `eng.testa` and `eng.testb`, or
    with rows of `tokens` and `tags`. Whatever scheme the source has, train, dev and test have 23,499, 5,942 and 5,648
    entities. The arguments are those of `TokenDataModule`.
    """

    # the data set itself is a script, which `datasets` no longer runs; the hub keeps a copy in Parquet
    corpora: ClassVar = {"conll2003": Corpus("eriktks/conll2003", revision="refs/convert/parquet")}
    known_labels = ("PER", "ORG", "LOC", "MISC")
    split_names: ClassVar = {
        "train": (*SPLIT_NAMES["train"], "eng.train"),
        "val": (*SPLIT_NAMES["val"], "eng.testa"),
        "test": (*SPLIT_NAMES["test"], "eng.testb"),
    }
    fallback_format = "conll"

    @property
    def declared(self) -> list[str] | None:
        """The entity types; parts of speech, which are tags of scheme `none`, are those of the data."""
        return self._declared if self.scheme == "none" else super().declared
