"""A look at the text of its own for each label."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_clf.batch import Batch
from lightning_clf.errors import check_number
from lightning_clf.heads.base import Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.precision import full_precision


class LabelAttentionHead(Head):
    """Attention over tokens with a query for each label, then a linear layer for each (Mullenbach et al. 2018, "CAML").

    It pays where texts are long, labels many, and each is told by a few words of its own place in the text.

    `αₗ = softmax(H uₗ)`, `vₗ = Hᵀ αₗ`, `scoreₗ = βₗ · vₗ + bₗ` for hidden states `H [T,H]` of the tokens that are not
    padding. Since `βₗ · vₗ = Σₜ αₗₜ (βₗ · hₜ)`, no vector a label is made: memory is that of `[N,T,C]`. The softmax and
    the sum over tokens are in float32 whatever the precision.

    Args:
        dropout: Probability of dropping a feature of a token; 0.1 is BERT's.

    Raises:
        InputError: If the probability is none.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"multi", "single"})

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(check_number("dropout", dropout, least=0, most=1))

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the queries, and the layer of each label."""
        self.queries = nn.Linear(hidden_size, len(labels), bias=False)
        self.output = nn.Linear(hidden_size, len(labels), bias=False)
        self.bias = nn.Parameter(torch.zeros(len(labels)))

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,C]`."""
        hidden = self.dropout(hidden)
        padding = batch.inputs["attention_mask"][..., None] == 0
        looked = full_precision(self.queries(hidden))
        # the lowest number and not -inf, which would be NaN for a text of no token at all
        weight = looked.masked_fill(padding, torch.finfo(looked.dtype).min).softmax(1)
        said = full_precision(self.output(hidden)).masked_fill(padding, 0.0)
        return ((weight * said).sum(1) + self.bias).to(hidden.dtype)
