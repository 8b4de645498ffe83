"""Of the windows a text is read in, one thing for the text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, get_args

from torch import Tensor, nn

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError

WindowPooling = Literal["logits", "mean", "max", "attention"]
"""What is made one of a text's windows: their logits, by the mean, or their features, before the output layer."""


def mean_of_windows(values: Tensor, batch: Batch) -> Tensor:
    """The mean over each text's windows: `[N,…]` to `[B,…]`. What is of texts already stays."""
    if len(values) == len(batch):  # each text has a window at least
        return values
    sums = values.new_zeros(len(batch), *values.shape[1:]).index_add(0, batch.window_to_example, values)
    return sums / batch.window_to_example.bincount(minlength=len(batch)).view(-1, *[1] * (values.dim() - 1))


class Windows(nn.Module, ABC):
    """Makes features of texts of the features of their windows."""

    @abstractmethod
    def forward(self, features: Tensor, batch: Batch) -> Tensor:
        """`[N,H]` to `[B,H]`."""


class MeanWindows(Windows):
    """The mean."""

    def forward(self, features: Tensor, batch: Batch) -> Tensor:
        """`[N,H]` to `[B,H]`."""
        return mean_of_windows(features, batch)


class MaxWindows(Windows):
    """The largest of each feature."""

    def forward(self, features: Tensor, batch: Batch) -> Tensor:
        """`[N,H]` to `[B,H]`."""
        slots = batch.window_to_example[:, None].expand_as(features)
        empty = features.new_zeros(len(batch), features.shape[1])
        return empty.scatter_reduce(0, slots, features, reduce="amax", include_self=False)


class AttentionWindows(Windows):
    """A mean with learned weights: a softmax over a text's windows of what one layer makes of each (Yang et al. 2016).

    Args:
        hidden_size: H.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, features: Tensor, batch: Batch) -> Tensor:
        """`[N,H]` to `[B,H]`."""
        scores = self.score(features).float()[:, 0]
        highest = scores.new_zeros(len(batch)).scatter_reduce(
            0, batch.window_to_example, scores.detach(), reduce="amax", include_self=False
        )
        parts = (scores - highest[batch.window_to_example]).exp()
        sums = parts.new_zeros(len(batch)).index_add(0, batch.window_to_example, parts)
        weights = (parts / sums[batch.window_to_example]).to(features.dtype)
        weighted: Tensor = weights[:, None] * features
        return weighted.new_zeros(len(batch), features.shape[1]).index_add(0, batch.window_to_example, weighted)


def make_windows(name: WindowPooling, hidden_size: int, *, words: bool) -> Windows | None:
    """What makes features one, or `None` where logits are.

    Raises:
        InputError: If there is no such way, or words are to be pooled, which are each read in one window.
    """
    if name not in get_args(WindowPooling):
        raise InputError(
            f"windows {name!r} is no way to pool windows: choose one of {', '.join(get_args(WindowPooling))}"
        )
    if words and name != "logits":
        raise InputError(f"windows {name!r} pools the windows of a text, and a word is read in one: leave it out")
    match name:
        case "mean":
            return MeanWindows()
        case "max":
            return MaxWindows()
        case "attention":
            return AttentionWindows(hidden_size)
    return None
