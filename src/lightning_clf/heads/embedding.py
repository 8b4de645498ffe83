"""A linear layer on a text's embedding, as models that were made to compare texts give it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.batch import Batch
from lightning_clf.heads.base import Head
from lightning_clf.heads.pooling import SequencePooling, make_pooling
from lightning_clf.heads.windows import mean_of_windows
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.precision import full_precision


class EmbeddingHead(Head):
    """Pool, scale to length 1 or not, one linear layer, without dropout.

    What stands before the linear layer is the text's embedding: what `sentence-transformers` calls pooling and
    normalisation. `SetFitClassifier` trains it on pairs, and fits the layer to it.

    Args:
        pooling: How subwords become a text (`cls`, `mean`, `max`, `attention`, `last`). `None` takes `mean`, or under
            `SetFitClassifier` what the encoder's own `modules.json` says.
        normalize: Whether embeddings are scaled to length 1. `None` does not, or under `SetFitClassifier` as the
            encoder's own `modules.json` says.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "multi"})

    def __init__(self, pooling: SequencePooling | None = None, normalize: bool | None = None) -> None:
        super().__init__()
        self.pooling_name = pooling
        self.normalize = normalize

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the pooling and the linear layer."""
        self.pooling = make_pooling(self.pooling_name or "mean", hidden_size, words=False)
        self.output = nn.Linear(hidden_size, len(labels))

    def embed(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The embeddings of texts, the mean of their windows': `[N,T,H]` to `[B,H]`, in float32 or more."""
        pooled: Tensor = full_precision(self.pooling(hidden, batch))
        return mean_of_windows(functional.normalize(pooled, dim=-1) if self.normalize else pooled, batch)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,C]`."""
        scores: Tensor = self.output(self.embed(hidden, batch).to(self.output.weight.dtype))
        return scores
