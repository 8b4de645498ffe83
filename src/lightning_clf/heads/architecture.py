"""The head an architecture brings along."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from lightning_clf.batch import Batch
from lightning_clf.heads.base import ALL_KINDS, Head
from lightning_clf.heads.pooling import gather_words
from lightning_clf.labels import Kind, LabelSpace


class ArchitectureHead(Head):
    """The classification head that `transformers` defines for the architecture: the default of every module.

    Its pretrained pooler counts where there is one, and what is exported is exactly a stock model, for every
    architecture. For tags it is read at each word's first subword (Devlin et al. 2019, section 5.3).
    """

    kinds: ClassVar[frozenset[Kind]] = ALL_KINDS

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Nothing to make: the parameters are the architecture's."""

    def auto_class(self) -> Any:
        """The Auto class with a head for words, or the one with a head for texts."""
        return AutoModelForTokenClassification if self.labels.kind == "tags" else AutoModelForSequenceClassification

    @property
    def is_stock(self) -> bool:
        """Whether no subclass reads it otherwise."""
        return type(self) is ArchitectureHead

    @property
    def reads_first_token(self) -> bool:
        """For texts, as far as `last_layer.py` knows the architecture; a subclass may read more."""
        return self._is_read_plainly and self.labels.kind != "tags"

    @property
    def reads_first_subwords(self) -> bool:
        """For tags; a subclass may read more."""
        return self._is_read_plainly and self.labels.kind == "tags"

    @property
    def _is_read_plainly(self) -> bool:
        cls = type(self)
        return (cls.forward, cls.hidden) == (ArchitectureHead.forward, ArchitectureHead.hidden)

    def hidden(self, output: Any) -> Tensor:
        """The architecture's own logits: `[N,C]`, or `[N,T,C]` for tags."""
        logits: Tensor = output.logits
        return logits

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The logits, `[B,C]`; for tags those of each word's first subword, `[B,W,C]`; for scores one number, `[B]`."""
        if self.labels.kind == "tags":
            return gather_words(hidden, batch)
        return hidden.squeeze(-1) if self.labels.kind == "score" else hidden
