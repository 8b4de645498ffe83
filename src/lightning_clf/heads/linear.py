"""Heads of our own on the bare encoder: one layer, or two."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_clf.batch import Batch
from lightning_clf.errors import check_number
from lightning_clf.heads.base import Head
from lightning_clf.heads.pooling import ClsPooling, FirstSubword, SequencePooling, WordPooling, make_pooling
from lightning_clf.heads.windows import WindowPooling, make_windows
from lightning_clf.labels import LabelSpace


class LinearHead(Head):
    """Pool, drop out, one linear layer.

    Args:
        pooling: How subwords become a text (`cls`, `mean`, `max`, `attention`, `last`) or a word (`first`, `mean`,
            `max`). `None` takes `cls` for texts and `first` for tags, as the BERT paper does.
        dropout: Probability of dropping a pooled feature; 0.1 is BERT's.
        windows: How the windows of a long text become one, where `data.stride` makes several: the mean of their
            `logits`, or of their features before the output layer the `mean`, the `max`, or a mean by `attention`.
    """

    def __init__(
        self,
        pooling: SequencePooling | WordPooling | None = None,
        dropout: float = 0.1,
        windows: WindowPooling = "logits",
    ) -> None:
        super().__init__()
        self.pooling_name = pooling
        self.windows_name = windows
        self.dropout = nn.Dropout(check_number("dropout", dropout, least=0, most=1))

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the pooling and the output layer."""
        words = labels.kind == "tags"
        self.pooling = make_pooling(self.pooling_name or ("first" if words else "cls"), hidden_size, words=words)
        self.windows = make_windows(self.windows_name, hidden_size, words=words)
        self.output = self.make_output(hidden_size, len(labels))

    @property
    def reads_first_token(self) -> bool:
        """With the pooling `cls`; a subclass may read more."""
        return self._is_read_plainly and type(self.pooling) is ClsPooling

    @property
    def reads_first_subwords(self) -> bool:
        """With the pooling `first`; a subclass may read more."""
        return self._is_read_plainly and type(self.pooling) is FirstSubword

    @property
    def _is_read_plainly(self) -> bool:
        cls = type(self)
        return (cls.forward, cls.hidden) == (LinearHead.forward, Head.hidden)

    def make_output(self, hidden_size: int, outputs: int) -> nn.Module:
        """The layers from pooled features `[…,H]` to scores `[…,C]`."""
        return nn.Linear(hidden_size, outputs)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,C]`, `[B,W,C]` or `[B]`; of each window where logits are made one."""
        features = self.pooling(hidden, batch)
        if self.windows is not None:
            features = self.windows(features, batch)
        scores: Tensor = self.output(self.dropout(features))
        return scores.squeeze(-1) if self.labels.kind == "score" else scores


class MLPHead(LinearHead):
    """Pool, drop out, a hidden layer with GELU, drop out, one linear layer.

    Args:
        pooling: As for `LinearHead`.
        dropout: Probability of dropping a feature, before the hidden layer and after it.
        hidden_features: Width of the hidden layer; `None` takes the encoder's.
        windows: As for `LinearHead`.

    Raises:
        InputError: If the width is less than 1.
    """

    def __init__(
        self,
        pooling: SequencePooling | WordPooling | None = None,
        dropout: float = 0.1,
        hidden_features: int | None = None,
        windows: WindowPooling = "logits",
    ) -> None:
        super().__init__(pooling, dropout, windows)
        if hidden_features is not None:
            check_number("hidden_features", hidden_features, least=1, whole=True)
        self.hidden_features = hidden_features

    def make_output(self, hidden_size: int, outputs: int) -> nn.Module:
        """Two layers with a GELU between them."""
        width = self.hidden_features or hidden_size
        return nn.Sequential(
            nn.Linear(hidden_size, width), nn.GELU(), nn.Dropout(self.dropout.p), nn.Linear(width, outputs)
        )
