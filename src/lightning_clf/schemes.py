"""Tag schemes: how spans of words are written as one tag a word.

`IOB1` marks the first word of a span with `B-` only where two spans of one type touch, `IOB2` always does, `BIOES`
(also written BILOU) marks ends and single words too; `none` is tagging without spans, such as part of speech.

A scheme is three questions about two neighbouring words, with an `O` before the first word and after the last one:
does the second word begin a span, does it continue the span the first is in, and if not, may that span close here?
The answers are those of seqeval's `mode="strict"`, on sequences the scheme does not allow too; `metrics` reads the same
three answers from tables, so that what a file holds and what a model is scored on cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from lightning_clf.errors import InputError

Scheme = Literal["IOB1", "IOB2", "BIOES", "none"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
PREFIXES: dict[Scheme, tuple[str, ...]] = {
    "IOB1": ("B", "I"),
    "IOB2": ("B", "I"),
    "BIOES": ("B", "I", "E", "S"),
    "none": (),
}
_SPAN_SCHEMES: tuple[Scheme, ...] = ("IOB2", "IOB1", "BIOES")  # IOB2 first: what `detect` says where nothing tells
_BILOU = {"L": "E", "U": "S"}
_OPEN = ("B", "I")  # the prefixes after which a span may go on
_REMEDY = "correct the tag, or set data.scheme"


class Span(NamedTuple):
    """A stretch of words: `start` is the first word's index, `end` is one past the last."""

    type: str
    start: int
    end: int


def begins(previous: str, current: str, same: bool, scheme: Scheme) -> bool:
    """Whether a word begins a span, unless the span that its predecessor began already takes it in.

    Args:
        previous: The prefix of the word before, `O` at the beginning of a sequence.
        current: The prefix of the word.
        same: Whether both have the same entity type.
        scheme: The tag scheme.
    """
    if scheme == "IOB1":
        return (current == "B" and previous in _OPEN and same) or (current == "I" and not (previous == "I" and same))
    return current in ("B", "S") and current in PREFIXES[scheme]


def continues(previous: str, current: str, same: bool, scheme: Scheme) -> bool:
    """Whether a word goes on with the span that its predecessor is in. The arguments are those of `begins`."""
    return same and previous in _OPEN and current in ("I", "E") and current in PREFIXES[scheme]


def closes(previous: str, current: str, same: bool, scheme: Scheme) -> bool:
    """Whether a span that is not continued is a span, rather than nothing. The arguments are those of `begins`."""
    if scheme == "BIOES":
        return previous in ("E", "S")
    if scheme == "IOB1":  # a B- that no span of its type precedes is illegal, and voids a span that is a lone B-
        return not (previous == "B" and current == "B" and not same)
    return True


def split_tag(tag: str) -> tuple[str, str]:
    """`B-PER` → (`B`, `PER`); `O` → (`O`, ``); BILOU letters become those of BIOES."""
    prefix, _, kind = tag.partition("-")
    return _BILOU.get(prefix, prefix), kind


def full_tagset(types: Sequence[str], scheme: Scheme) -> list[str]:
    """Every tag a scheme can write for these entity types, `O` first; for `none`, the types themselves."""
    if scheme == "none":
        return list(types)
    return ["O"] + [f"{prefix}-{kind}" for kind in types for prefix in PREFIXES[scheme]]


def entity_types(tags: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """The entity types a set of tags speaks of, in order of first appearance; none for scheme `none`.

    Raises:
        InputError: If a tag is not one of the scheme.
    """
    parts = [check_tag(tag, scheme) for tag in tags]
    return tuple(dict.fromkeys(kind for prefix, kind in parts if prefix != "O"))


def check_tag(tag: str, scheme: Scheme) -> tuple[str, str]:
    """Split a tag and hold it against the scheme; scheme `none` allows any tag, and reads it as outside of spans.

    Raises:
        InputError: If the tag is not one the scheme can write.
    """
    if scheme == "none" or tag == "O":
        return "O", ""
    prefix, kind = split_tag(tag)
    if prefix in PREFIXES[scheme] and kind:
        return prefix, kind
    shapes = ", ".join(f"{letter}-TYPE" for letter in PREFIXES[scheme])
    raise InputError(f"tag {tag!r} is not one of scheme {scheme} (O, {shapes}): {_REMEDY}")


@lru_cache(maxsize=2**16)
def follows(previous: str, tag: str, scheme: Scheme) -> bool:
    """Whether the scheme allows a tag right after another; `O` stands before the first word and after the last.

    Raises:
        InputError: If one of the two is not a tag of the scheme.
    """
    (before, kind_before), (current, kind) = check_tag(previous, scheme), check_tag(tag, scheme)
    same = kind_before == kind
    if scheme == "IOB1":
        return current != "B" or (before in _OPEN and same)
    if continues(before, current, same, scheme):
        return True
    must_go_on = scheme == "BIOES" and before in _OPEN
    return current not in ("I", "E") and not must_go_on


def check_tags(tags: Sequence[str], scheme: Scheme) -> None:
    """Hold a sequence of tags against a scheme.

    Raises:
        InputError: If a tag is not one of the scheme, or stands where the scheme does not allow it.
    """
    fault = _first_fault(tags, scheme)
    if fault is not None:
        raise InputError(f"word index {fault[0]}: {fault[1]}: {_REMEDY}")


def spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans of a sequence, in order; strict, so that a stretch the scheme does not allow is no span.

    Raises:
        InputError: If a tag is not one of the scheme.
    """
    found: list[Span] = []
    start: int | None = None
    before, kind_before = "O", ""
    for word, tag in enumerate((*tags, "O")):
        current, kind = check_tag(tag, scheme)
        pair = (before, current, kind_before == kind, scheme)
        if start is not None and not continues(*pair):
            if closes(*pair):
                found.append(Span(kind_before, start, word))
            start = None
        if start is None and begins(*pair):
            start = word
        before, kind_before = current, kind
    return found


def write(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of a sequence of `length` words that has these spans.

    Raises:
        InputError: If a span is empty, overlaps another or lies outside of the sequence, or the scheme has no spans.
    """
    tags = ["O"] * length
    last = Span("", 0, 0)
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if scheme == "none":
            raise InputError("scheme none has no spans to write: set data.scheme to IOB1, IOB2 or BIOES")
        if not last.end <= span.start < span.end <= length:
            raise InputError(
                f"span {tuple(span)} is empty, overlaps {tuple(last)} or leaves the {length} words of its sequence: "
                "spans are (type, first word, one past the last word), and no word is in two of them"
            )
        inner = [f"I-{span.type}"] * (span.end - span.start)
        touches = last.type == span.type and last.end == span.start
        if scheme != "IOB1" or touches:
            inner[0] = f"B-{span.type}"
        if scheme == "BIOES":
            inner[-1] = f"E-{span.type}" if len(inner) > 1 else f"S-{span.type}"
        tags[span.start : span.end] = inner
        last = span
    return tags


def convert(tags: Sequence[str], source: Scheme, target: Scheme) -> list[str]:
    """The same spans in another scheme, without loss; within BIOES, the letters of BILOU become those of BIOES.

    Raises:
        InputError: If the source scheme does not allow these tags, or only one of the schemes has spans.
    """
    if "none" in (source, target):
        if source != target:
            raise InputError(f"tags of scheme {source} cannot be written as {target}: only one of them has spans")
        return list(tags)
    check_tags(tags, source)
    return write(spans(tags, source), len(tags), target)


def detect(sequences: Iterable[Sequence[str]]) -> Scheme:
    """The one scheme that allows all sequences; `IOB2` if they have no entity, `none` if no tag is like a span's.

    Raises:
        InputError: If no scheme allows all of them, or only some of the tags look like tags of spans.
    """
    faults: dict[Scheme, str] = {}
    first: dict[str, str] = {}  # of each kind of tag
    for example, tags in enumerate(sequences):
        for word, tag in enumerate(tags):
            kind = _kind_of_tag(tag)
            if kind not in first:
                first[kind] = f"{tag!r} (example index {example}, word index {word})"
        for scheme in _SPAN_SCHEMES:
            fault = _first_fault(tags, scheme) if scheme not in faults else None
            if fault is not None:
                faults[scheme] = f"not {scheme} (example index {example}, word index {fault[0]}: {fault[1]})"
    other = first.get("other", first.get("small"))
    if other is not None and "span" in first:
        raise InputError(f"mixed schemes: {first['span']} is the tag of a span, {other} is not: {_REMEDY}")
    if "other" in first:
        return "none"
    if "small" in first:
        raise InputError(
            f"tag {first['small']} is one of a scheme but for the small letter it begins with: write such tags as "
            "B-PER and O, or set data.scheme: none"
        )
    for scheme in _SPAN_SCHEMES:
        if scheme not in faults:
            return scheme
    raise InputError(f"mixed schemes: the tags are {', '.join(faults.values())}: {_REMEDY}")


@lru_cache(maxsize=2**16)
def _kind_of_tag(tag: str) -> Literal["outside", "span", "small", "other"]:
    """What a tag looks like; `small` is what would be one of a scheme if its first letter were a capital."""
    if tag == "O":
        return "outside"
    prefix, kind = split_tag(tag)
    if prefix in PREFIXES["BIOES"] and kind:
        return "span"
    capital = tag[:1].upper() + tag[1:]
    return "small" if capital != tag and _kind_of_tag(capital) != "other" else "other"


def _first_fault(tags: Sequence[str], scheme: Scheme) -> tuple[int, str] | None:
    """Where a sequence first leaves its scheme, and how."""
    previous = "O"
    for word, tag in enumerate(tags):
        try:
            allowed = follows(previous, tag, scheme)
        except InputError:
            return word, f"tag {tag!r} is not one of scheme {scheme}"
        if not allowed:
            place = f"follow {previous!r}" if word else "begin a sequence"
            return word, f"tag {tag!r} cannot {place} in {scheme}"
        previous = tag
    if not follows(previous, "O", scheme):
        return len(tags) - 1, f"tag {previous!r} cannot end a sequence in {scheme}"
    return None
