"""Texts that occur more than once: within train, and in train and in what it is judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lightning_clf.data.encoded import content_digest
from lightning_clf.data.rows import Example, RowFormat
from lightning_clf.data.split import Split
from lightning_clf.examine.finding import Finding

_LEAK = 0.1  # the share of rows that train holds too, from which on a score says little of new texts


class Known(NamedTuple):
    """A row by what it holds.

    Attributes:
        text: A digest of its text or texts.
        label: A digest of its label.
        number: Its number in its split.
    """

    text: bytes
    label: bytes
    number: int


Rows = Mapping[str, list[Known]]


def known_rows(split: Split, rows: RowFormat) -> list[Known]:
    """Every row of a split by its digests, in order, read as for training."""
    return [_known(rows.parse(row, split.where(number)), number) for number, row in split.rows()]


def _known(example: Example, number: int) -> Known:
    return Known(content_digest((example.text, example.pair)), content_digest(example.label), number)


def repeated_texts(rows: Rows, names: Mapping[str, Split]) -> Iterator[Finding]:
    """What occurs more than once.

    Args:
        rows: The rows that are used of `train`, and of `val` and `test` where there are some.
        names: The file or corpus each of them is from.
    """
    first: dict[bytes, Known] = {}
    again: list[tuple[Known, Known]] = []
    for row in rows.get("train", []):
        earlier = first.setdefault(row.text, row)
        if earlier is not row:
            again.append((earlier, row))
    if "train" in rows:
        yield from _within(again, len(rows["train"]), names["train"])
    for name in ("val", "test"):
        if name in rows and first:
            yield _between(name, rows[name], first, names)


def _within(again: list[tuple[Known, Known]], total: int, split: Split) -> Iterator[Finding]:
    same = [pair for pair in again if pair[0].label == pair[1].label]
    other = [pair for pair in again if pair[0].label != pair[1].label]
    if not again:
        yield Finding("ok", "duplicates", f"none of {total} texts of train occurs twice")
    if same:
        found = f"{len(same)} of {total} rows of train repeat an earlier one, {_example(same[0], split, split)}"
        yield Finding("warning", "duplicates", found, "set data.drop_duplicates: true, or leave them if they are meant")
    if other:
        found = f"{len(other)} of {total} rows of train have the text of an earlier one and another label"
        yield Finding(
            "warning",
            "contradictions",
            f"{found}, {_example(other[0], split, split)}",
            "correct the labels, or remove them",
        )


def _between(name: str, rows: list[Known], first: Mapping[bytes, Known], names: Mapping[str, Split]) -> Finding:
    check = f"overlap of train and {name}"
    shared = [(first[row.text], row) for row in rows if row.text in first]
    if not shared:
        return Finding("ok", check, f"none of {len(rows)} texts of {name} is in train")
    share = len(shared) / len(rows)
    found = f"{len(shared)} of {len(rows)} texts of {name} ({share:.1%}) are in train too"
    remedy = (
        "what train has seen tells nothing of new texts: take data.drop_duplicates"
        if names["train"] is names[name]  # which is held out of it
        else "remove them from one of the two: what train has seen tells nothing of new texts"
    )
    return Finding(
        "error" if share >= _LEAK else "warning",
        check,
        f"{found}, {_example(shared[0], names['train'], names[name])}",
        remedy,
    )


def _example(pair: tuple[Known, Known], first: Split, second: Split) -> str:
    return f"such as {second.where(pair[1].number)} ({first.where(pair[0].number)})"
