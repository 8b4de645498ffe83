"""How much the window cuts, and which window would cut next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
from datasets import Dataset

from lightning_clf.data.batching import longest_windows, token_lengths
from lightning_clf.data.drawing import Numbers
from lightning_clf.data.rows import Example, RowFormat
from lightning_clf.data.split import Split
from lightning_clf.data.text_rows import TextRows
from lightning_clf.encoding import Tokenizer
from lightning_clf.examine.finding import Finding

FEW = 0.01
"""The share of texts that may be cut without a warning."""

_UNCUT = 10**6  # subwords: a window that cuts nothing
_READ = 1000  # rows tokenised at a time
_STEP = 8  # a window that is advised is a multiple of this


def true_lengths(rows: Dataset, split: Split, reads: RowFormat, tokenizer: Tokenizer) -> Numbers:
    """How many subwords each encoded row would have, were none cut: `[R]`. Only rows that were are tokenised again.

    Args:
        rows: R encoded rows.
        split: What they were read from.
        reads: How its rows are read.
        tokenizer: The encoder's tokenizer.
    """
    lengths = longest_windows(rows) if reads.symmetric else token_lengths(rows)
    if isinstance(reads, TextRows):
        reads = replace(reads, symmetric=False)  # one order is as long as the other
    columns = rows.select_columns(["example_id", "truncated"]).with_format("numpy")[:]
    cut = np.flatnonzero(columns["truncated"] > 0)
    places = dict(zip(columns["example_id"][cut].tolist(), cut.tolist(), strict=True))
    examples = _examples(places, split, reads)
    while batch := list(islice(examples, _READ)):
        encoded = reads.encode(tokenizer, [example for _, example in batch], _UNCUT)["input_ids"]
        lengths[[place for place, _ in batch]] = [len(ids) for ids in encoded]
    return lengths


def _examples(places: Mapping[int, int], split: Split, reads: RowFormat) -> Iterator[tuple[int, Example]]:
    """The rows at some positions of a split, each with its place among the encoded ones."""
    if not places:
        return
    for position, (number, row) in enumerate(split.rows()):
        if position in places:
            yield places[position], reads.parse(row, split.where(number))


def window_for(lengths: Numbers) -> int:
    """The smallest window, a multiple of 8, that cuts fewer than one text in a hundred.

    Args:
        lengths: How many subwords each text has, `[R]`.
    """
    allowed = int(np.ceil(FEW * len(lengths))) - 1  # texts that may be cut
    needed = int(np.sort(lengths)[len(lengths) - 1 - allowed])
    return -(-needed // _STEP) * _STEP


def truncation(name: str, lengths: Numbers, window: int, positions: int | None) -> Finding:
    """How many texts of a split the window cuts.

    Args:
        name: `train`, `val` or `test`.
        lengths: How many subwords each text has, `[R]`.
        window: The window.
        positions: The longest window the encoder has positions for; `None` where it has no limit or is not known.
    """
    cut = int((lengths > window).sum())
    found = f"max_length {window} cuts {cut} of {len(lengths)} ({cut / len(lengths):.1%})"
    if cut < FEW * len(lengths) or not cut:
        return Finding("ok", f"truncation of {name}", found)
    wanted = window_for(lengths)
    if positions is None or wanted <= positions:
        return Finding(
            "warning", f"truncation of {name}", found, f"data.max_length {wanted} would cut less than {FEW:.0%}"
        )
    left = (lengths > positions).mean()
    longest = f"data.max_length {positions}, the most this encoder has positions for, would cut {left:.1%}"
    advice = (
        f"{longest}; data.stride reads the rest in further windows, as does an encoder of {wanted} positions in one"
    )
    return Finding("warning", f"truncation of {name}", found, advice)


def windows(name: str, counts: Numbers, window: int, trained: int | None) -> Finding:
    """In how many windows the texts of a split are read.

    Args:
        name: The split.
        counts: How many each text takes, `[R]`.
        window: The window.
        trained: How many of a text go into a training step; `None` is all.
    """
    several = int((counts > 1).sum())
    found = f"{several} of {len(counts)} take several windows of {window}, at most {counts.max(initial=0)}"
    if name == "train" and trained is not None:
        found += f", of which {trained} go into a training step"
    return Finding("ok", f"windows of {name}", found)
