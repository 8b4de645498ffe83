"""The functional core of span classification: which spans there are, which are right, and which are taken.

Spans stand in a band, `[B,W,M]`: at `[b, w, m]` is that of the `m + 1` words from word `w` of example `b` on. Of all
pairs of words it has those that are less than M words apart, so that memory grows with W and not with W².
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.span_grid import TagTables, find_spans

NONE = 0
"""The class of a span that is no entity; entity type k has the class k + 1."""


class Marks(NamedTuple):
    """The spans of a batch as each word sees them, `[B,W]`.

    Attributes:
        kinds: The entity type of the span a word is in, -1 if it is in none.
        first: True where a word is the first of its span.
        last: True where a word is the last of its span.
    """

    kinds: Tensor
    first: Tensor
    last: Tensor


def span_mask(seen: Tensor, width: int) -> Tensor:
    """Where the band has a span all of whose words are seen.

    Args:
        seen: True where a word is seen, bool `[B,W]`.
        width: How many words a span may have, M.

    Returns:
        Bool `[B,W,M]`.
    """
    words = seen.shape[1]
    place = torch.arange(words, device=seen.device)
    # the first word from each one on that is not seen
    stop = place.where(~seen, words).flip(1).cummin(1).values.flip(1)
    return torch.arange(width, device=seen.device) < (stop - place)[..., None]


def span_targets(tags: Tensor, seen: Tensor, tables: TagTables, width: int) -> Tensor:
    """The right class of every span.

    Args:
        tags: Tag indices, int64 `[B,W]`, of any value where a word is not seen.
        seen: True where a word is seen, bool `[B,W]`. Places without a word are read as `O`.
        tables: The tables of the label space.
        width: How many words a span may have, M.

    Returns:
        Classes int64 `[B,W,M]`, `IGNORE` where there is no span. Longer entities are not among them.
    """
    grid = find_spans(tags, seen, tables)
    place = torch.arange(tags.shape[1], device=tags.device)
    widths = torch.arange(1, width + 1, device=tags.device)
    is_entity = grid.starts[..., None] & ((grid.ends - place)[..., None] == widths)
    classes = (grid.kinds[..., None] + 1).where(is_entity, NONE)
    return classes.where(span_mask(seen, width), IGNORE)


def flat_spans(scores: Tensor, mask: Tensor) -> Marks:
    """Take spans one by one, the surest first, without overlaps. The one loop is over the spans of an example.

    Args:
        scores: Logits of classes, `[B,W,M,K+1]`.
        mask: Where there is a span, bool `[B,W,M]`.

    Returns:
        What was taken.
    """
    examples, words, width = mask.shape
    best, kinds = scores[..., 1:].max(-1)
    # how far an entity type is above none: what all classes of a span have in common, training leaves undetermined
    odds = best - scores[..., NONE]
    left = odds.masked_fill(~mask, -torch.inf).flatten(1)
    kinds = kinds.flatten(1)
    place = torch.arange(words, device=mask.device)
    start = place[:, None].expand(words, width).flatten()
    end = start + torch.arange(width, device=mask.device).repeat(words)
    marks = Marks(mask.new_full((examples, words), -1, dtype=torch.int64), *mask.new_zeros(2, examples, words))
    while (left > 0).any():
        surest, index = left.max(1, keepdim=True)
        found, first, last = surest > 0, start[index], end[index]
        covered = found & (place >= first) & (place <= last)
        marks = Marks(
            torch.where(covered, kinds.gather(1, index), marks.kinds),
            marks.first | (covered & (place == first)),
            marks.last | (covered & (place == last)),
        )
        left = left.masked_fill(found & (start <= last) & (end >= first), -torch.inf)
    return marks
