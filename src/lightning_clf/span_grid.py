"""Spans of tag indices, for a whole batch at once; `lightning_clf.schemes.spans` reads the same in one sentence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.labels import LabelSpace
from lightning_clf.schemes import begins, check_tag, closes, continues

_PREFIXES = ("O", "B", "I", "E", "S")
_OUTSIDE = _PREFIXES.index("O")


@dataclass(frozen=True)
class TagTables:
    """What the tags of a label space mean, and what their scheme says of neighbours, as tensors to look up in.

    Attributes:
        prefix: The prefix of each tag, as its place in `O B I E S`. Int64 `[C]`.
        kind: The entity type of each tag as its place among the label space's types, -1 for `O`. Int64 `[C]`.
        begins: `schemes.begins` by previous prefix, current prefix and whether types agree. Bool `[5,5,2]`.
        continues: `schemes.continues`, alike.
        closes: `schemes.closes`, alike.
    """

    prefix: Tensor
    kind: Tensor
    begins: Tensor
    continues: Tensor
    closes: Tensor

    @classmethod
    def of(cls, labels: LabelSpace) -> TagTables:
        """The tables of a label space of tags with spans.

        Raises:
            ValueError: If the labels are no tags with spans.
        """
        scheme = labels.scheme
        if scheme is None or scheme == "none":
            raise ValueError(f"labels of kind {labels.kind} with scheme {scheme} have no spans")
        place = {kind: index for index, kind in enumerate(labels.entity_types)}
        parts = [check_tag(name, scheme) for name in labels.names]
        pairs = list(product(_PREFIXES, _PREFIXES, (False, True)))
        tables = [
            torch.tensor([rule(*pair, scheme) for pair in pairs]).view(5, 5, 2) for rule in (begins, continues, closes)
        ]
        prefix = torch.tensor([_PREFIXES.index(prefix) for prefix, _ in parts])
        return cls(prefix, torch.tensor([place.get(kind, -1) for _, kind in parts]), *tables)

    def to(self, device: torch.device) -> TagTables:
        """The same tables on a device; themselves if they are there already."""
        if self.prefix.device == device:
            return self
        return TagTables(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))


class SpanGrid(NamedTuple):
    """The spans of a batch, each told at its first word.

    Attributes:
        starts: True where a span starts. Bool `[B,W]`.
        ends: One past the span's last word. Int64 `[B,W]`, of no meaning where no span starts.
        kinds: The span's type as in `TagTables.kind`. Int64 `[B,W]`, of no meaning where no span starts.
    """

    starts: Tensor
    ends: Tensor
    kinds: Tensor


def find_spans(tags: Tensor, mask: Tensor, tables: TagTables) -> SpanGrid:
    """The strict spans of every example in a batch.

    Args:
        tags: Tag indices, int64 `[B,W]`, of any value where the mask is false.
        mask: True where there is a word, bool `[B,W]`. Places without a word are read as `O`.
        tables: The tables of the label space.
    """
    words = tags.shape[1]
    known = tags.where(mask, 0)
    kinds = tables.kind[known].where(mask, -1)
    # one place for each pair of neighbours, W+1 in all: at w stand the words w-1 and w, and O beyond both ends
    prefixes = functional.pad(tables.prefix[known].where(mask, _OUTSIDE), (1, 1), value=_OUTSIDE)
    padded_kinds = functional.pad(kinds, (1, 1), value=-1)
    pair = (prefixes[:, :-1], prefixes[:, 1:], (padded_kinds[:, :-1] == padded_kinds[:, 1:]).long())
    begin, inside, close = tables.begins[pair], tables.continues[pair], tables.closes[pair]
    # a word that would begin a span is inside instead if its predecessor began one that goes on
    starts = begin & ~(inside & functional.pad(begin[:, :-1], (1, 0)))
    # the span of word w ends at the first place after w where nothing goes on; the last place never goes on
    places = torch.arange(words + 1, device=tags.device).expand_as(begin)
    ends = places.where(~inside, words).flip(1).cummin(dim=1).values.flip(1)[:, 1:]
    return SpanGrid(starts[:, :-1] & close.gather(1, ends), ends, kinds)
