"""What is wrong with the entities that were missed or made up.

An entity counts as right if its boundaries and its type are. Every other right entity is a false negative, every other
answered one a false positive, and one of each may be two sides of one error. Within a sentence they are paired, each at
most once: first those of the same boundaries, then overlapping ones of the same type, then any that overlap; among
these the largest overlap first, and of equal ones the first in the sentence. What is left is missed or spurious.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from lightning_clf.schemes import Span

ErrorKind = Literal["type", "boundary", "boundary_and_type", "missed", "spurious"]


class EntityError(NamedTuple):
    """One error: `gold` is `None` where it is spurious, `predicted` where it is missed."""

    kind: ErrorKind
    gold: Span | None
    predicted: Span | None


class EntityErrorCounts(NamedTuple):
    """How often each kind of error is made, and what they add up to.

    `type + boundary + boundary_and_type` are false negatives and false positives at once; with `missed` they are all
    false negatives, with `spurious` all false positives of the strict score.
    """

    type: int
    boundary: int
    boundary_and_type: int
    missed: int
    spurious: int
    false_negatives: int
    false_positives: int


def pair_errors(gold: Sequence[Span], predicted: Sequence[Span]) -> list[EntityError]:
    """The errors in one sentence, in its order.

    Args:
        gold: The right entities, none of which overlap.
        predicted: The answered ones, likewise.
    """
    missed = [span for span in gold if span not in set(predicted)]
    spurious = [span for span in predicted if span not in set(gold)]
    pairs = sorted(
        ((*_closeness(one, other), one, other) for one in missed for other in spurious if _overlap(one, other) > 0),
        key=lambda pair: (pair[0], -pair[1], pair[2].start, pair[3].start),
    )
    errors: list[EntityError] = []
    for _, _, one, other in pairs:
        if one in missed and other in spurious:
            missed.remove(one)
            spurious.remove(other)
            errors.append(EntityError(_kind(one, other), one, other))
    errors += [EntityError("missed", span, None) for span in missed]
    errors += [EntityError("spurious", None, span) for span in spurious]
    return sorted(errors, key=lambda error: (error.gold or error.predicted or Span("", 0, 0)).start)


def count_errors(errors: Iterable[EntityError]) -> EntityErrorCounts:
    """Add errors up."""
    found = [error.kind for error in errors]
    type_, boundary, both = (found.count(kind) for kind in ("type", "boundary", "boundary_and_type"))
    missed, spurious = found.count("missed"), found.count("spurious")
    paired = type_ + boundary + both
    return EntityErrorCounts(type_, boundary, both, missed, spurious, paired + missed, paired + spurious)


def _overlap(one: Span, other: Span) -> int:
    return min(one.end, other.end) - max(one.start, other.start)


def _closeness(one: Span, other: Span) -> tuple[int, int]:
    """In which round two are paired, and how much they overlap."""
    same = (one.start, one.end) == (other.start, other.end)
    return (0 if same else 1 if one.type == other.type else 2), _overlap(one, other)


def _kind(one: Span, other: Span) -> ErrorKind:
    if (one.start, one.end) == (other.start, other.end):
        return "type"
    return "boundary" if one.type == other.type else "boundary_and_type"
