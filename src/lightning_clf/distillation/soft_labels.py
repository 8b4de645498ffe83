"""A file of soft labels in the place of a teacher: what another program, such as a language model, says of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from lightning_clf.data import BaseDataModule
from lightning_clf.data.encoded import Summary, kept_examples
from lightning_clf.data.readers import read_rows
from lightning_clf.data.rows import Example, RowFormat
from lightning_clf.data.split import FileSplit
from lightning_clf.distillation.answers import Answered, Answers
from lightning_clf.distillation.asking import Asked
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace

PROBABILITIES, SCORE = "probabilities", "score"
"""The columns of soft labels, as `predict` calls them too."""

_OFF = 0.01  # by how much probabilities may miss 1, as those do that were written with few digits


def ask_file(name: str, data: BaseDataModule[Any]) -> str:
    """Find the soft label of every row of train in a file, unless that has been done.

    Returns:
        The name of the folder in the cache that holds them.

    Raises:
        InputError: If a line of the file is not as it should be, or a row has none; it says which.
    """
    asked = Asked(data)
    key = asked.key(file=FileSplit(Path(name), "jsonl").fingerprint())
    rows = asked.prepare()
    Answers.made(data.cache_dir / key, rows, len(data.labels), lambda: _answered(name, asked))
    return key


def _answered(name: str, asked: Asked) -> Answered:
    known = _read(name, next(iter(asked.encodings.values())).rows, asked.data.labels)
    place, used, missing, first = 0, set(), 0, ""
    for split, encoding in zip(asked.splits.values(), asked.encodings.values(), strict=True):
        for _, example in kept_examples(split, encoding, Summary()):
            content = _content(example)
            if content in known:
                used.add(content)
                yield place, known[content][1]
            else:
                missing, first = missing + 1, first or example.where
            place += 1
    if missing:
        raise InputError(
            f"{first} has no line of the same text in {name} ({missing} of {place} rows have none): add one for each, "
            "or leave the rows out"
        )
    if len(known) > len(used):
        rank_zero_info(f"{name}: {len(known) - len(used)} of its texts are none of train")


def _content(example: Example) -> str:
    return repr((example.text, example.pair))


def _read(name: str, rows: RowFormat, labels: LabelSpace) -> dict[str, tuple[int, Any]]:
    """The number of the line and the logits of every text of a file."""
    known: dict[str, tuple[int, Any]] = {}
    for number, row in read_rows(Path(name).expanduser(), "jsonl", name):
        where = f"{name} line {number}"
        example = rows.read(row, where)
        logits = _logits(row, example, labels, where)
        before = known.setdefault(_content(example), (number, logits))
        if not np.array_equal(before[1], logits):
            raise InputError(f"{where} has the text of line {before[0]} and other soft labels: keep one of them")
    return known


def _logits(row: Mapping[str, Any], example: Example, labels: LabelSpace, where: str) -> Any:
    column = SCORE if labels.kind == "score" else PROBABILITIES
    if column not in row:
        raise InputError(f"{where} has no key {column!r}: give it the soft label of the text")
    value = row[column]
    if labels.kind == "score":
        low, high = labels.range or (-np.inf, np.inf)
        return np.array([[_number(value, low, high, f"{column} of {where}")]], np.float32)
    if labels.kind != "tags":
        return _logits_of(value, labels, f"{column} of {where}")[None]
    if not isinstance(value, list) or len(value) != len(example.text):
        raise InputError(f"{column} of {where} is not a list of one mapping for each of its {len(example.text)} words")
    lines = [_logits_of(item, labels, f"{column} of word {place} of {where}") for place, item in enumerate(value, 1)]
    return np.stack(lines)


def _logits_of(value: Any, labels: LabelSpace, what: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{what} is no mapping from labels to probabilities: write one")
    for name in value:
        if name not in labels.names:
            raise InputError(f"{what} names the label {name!r}, which is none of the data's: {labels.shown}")
    if labels.kind == "multi" and (missing := [name for name in labels.names if name not in value]):
        raise InputError(f"{what} lacks the label {missing[0]!r}: give each its probability")
    p = np.array([_number(value.get(name, 0.0), 0, 1, f"{name!r} in {what}") for name in labels.names])
    with np.errstate(divide="ignore"):  # what is impossible has a logit of minus infinity
        if labels.kind == "multi":
            return (np.log(p) - np.log1p(-p)).astype(np.float32)
        if abs(p.sum() - 1) > _OFF:
            raise InputError(f"{what} add up to {p.sum():g}: they are of one label of all, and should add up to 1")
        return np.log(p / p.sum()).astype(np.float32)


def _number(value: Any, least: float, most: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InputError(f"{what} is {value!r}: give a number from {least:g} to {most:g}")
    return float(value)
