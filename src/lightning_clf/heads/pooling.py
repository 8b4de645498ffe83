"""Hidden states of subwords to one vector a text, or one vector a word."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError

SequencePooling = Literal["cls", "mean", "max", "attention", "last"]
WordPooling = Literal["first", "mean", "max"]


class Pooling(nn.Module):
    """Pools `hidden [N,T,H]` to `[B,H]`, or to `[B,W,H]` for words.

    Args:
        hidden_size: H, for those that have parameters.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Pool one batch."""
        raise NotImplementedError


class ClsPooling(Pooling):
    """The first token, which BERT and its kin train to speak for the text."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,H]`."""
        return hidden[:, 0]


class LastPooling(Pooling):
    """The last token that is not padding: in a decoder the only one that has seen the whole text."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,H]`."""
        last = batch.inputs["attention_mask"].sum(1).clamp(min=1) - 1
        rows = torch.arange(hidden.shape[0], device=hidden.device)  # where len() would be a constant of a trace
        return hidden[rows, last]


class MeanPooling(Pooling):
    """The mean over the tokens that are not padding, summed in float32."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,H]`."""
        mask = batch.inputs["attention_mask"][..., None].float()
        return ((hidden.float() * mask).sum(1) / mask.sum(1).clamp(min=1)).to(hidden.dtype)


class MaxPooling(Pooling):
    """The largest value of each dimension over the tokens that are not padding."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,H]`."""
        padding = batch.inputs["attention_mask"][..., None] == 0
        return hidden.masked_fill(padding, torch.finfo(hidden.dtype).min).amax(1)


class AttentionPooling(Pooling):
    """A learned weight for each token (Lin et al. 2017, "A Structured Self-Attentive Sentence Embedding", one hop)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size)
        self.project = nn.Linear(hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,H]`."""
        weight: Tensor = self.query(torch.tanh(self.project(hidden))).float()
        weight = weight.masked_fill(batch.inputs["attention_mask"][..., None] == 0, -torch.inf).softmax(1)
        return (hidden.float() * weight).sum(1).to(hidden.dtype)


class FirstSubword(Pooling):
    """Each word's first subword."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,W,H]`."""
        return gather_words(hidden, batch)


class SubwordMean(Pooling):
    """The mean of each word's subwords, summed in float32."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,W,H]`; zero for a word without subwords."""
        slots, words = _word_slots(batch)
        flat = hidden.flatten(0, 1).float()
        total = flat.new_zeros(len(batch) * words + 1, flat.shape[1]).index_add(0, slots, flat)
        count = flat.new_zeros(len(total)).index_add(0, slots, flat.new_ones(len(flat)))
        mean = total / count.clamp(min=1)[:, None]
        return mean[:-1].view(len(batch), words, -1).to(hidden.dtype)


class SubwordMax(Pooling):
    """The largest value of each dimension over a word's subwords."""

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,W,H]`; zero for a word without subwords."""
        slots, words = _word_slots(batch)
        flat = hidden.flatten(0, 1)
        index = slots[:, None].expand_as(flat)
        largest = flat.new_zeros(len(batch) * words + 1, flat.shape[1])
        largest = largest.scatter_reduce(0, index, flat, reduce="amax", include_self=False)
        return largest[:-1].view(len(batch), words, -1)


_SEQUENCE: dict[str, type[Pooling]] = {
    "cls": ClsPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
    "last": LastPooling,
}
_WORD: dict[str, type[Pooling]] = {"first": FirstSubword, "mean": SubwordMean, "max": SubwordMax}


def make_pooling(name: SequencePooling | WordPooling, hidden_size: int, *, words: bool) -> Pooling:
    """The pooling of a name, for words or for whole texts.

    Raises:
        InputError: If there is no such pooling for these.
    """
    table = _WORD if words else _SEQUENCE
    if name not in table:
        what = "words" if words else "texts"
        raise InputError(f"pooling {name!r} does not pool {what}: set the head's pooling to one of {', '.join(table)}")
    return table[name](hidden_size)


def gather_words(values: Tensor, batch: Batch) -> Tensor:
    """The value at each word's first subword: `[N,T,X]` to `[B,W,X]`. A word without one gets another's; mask it."""
    first_subword, _ = batch.words()
    return values.flatten(0, 1)[first_subword.clamp(min=0)]


def _word_slots(batch: Batch) -> tuple[Tensor, int]:
    """For each of `[N*T]` subwords its word's place in `[B*W]`, the place `B*W` for those of no word; and W."""
    first_subword, _ = batch.words()
    if batch.word_ids is None:
        raise TypeError("this batch has no word_ids: collate it with the tags' own collator")
    words = first_subword.shape[1]
    slots = batch.window_to_example[:, None] * words + batch.word_ids
    return torch.where(batch.word_ids >= 0, slots, len(batch) * words).flatten(), words
