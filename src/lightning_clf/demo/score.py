"""Strict entity F1 of predicted tags on the demo's test split, on all of it and on its unseen sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_clf.errors import InputError

Span = tuple[int, int, str]


@dataclass(frozen=True)
class UnseenScore:
    """Strict entity F1 on a test split.

    Attributes:
        entity_f1: On every sentence.
        unseen_entity_f1: On sentences whose patterns and entity strings training does not have.
        rows: Number of sentences.
        unseen_rows: Number of those sentences.
    """

    entity_f1: float
    unseen_entity_f1: float
    rows: int
    unseen_rows: int


def strict_spans(tags: Iterable[str]) -> set[Span]:
    """Reads the entities off IOB2 tags.

    Args:
        tags: One tag a word.

    Returns:
        Start, end (exclusive) and type of each entity. An `I-X` that continues no `X` is not an entity.
    """
    spans: set[Span] = set()
    start, kind = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            spans.add((start, position, kind))
            kind = ""
        if tag.startswith("B-"):
            start, kind = position, tag[2:]
    return spans


def strict_f1(gold: Iterable[list[str]], predicted: Iterable[list[str]]) -> float:
    """Computes micro-averaged F1 over entities whose bounds and type are all right.

    Args:
        gold: True tags, a list for each sentence.
        predicted: Predicted tags of the same sentences.

    Returns:
        F1 from 0 to 1; 0 where there is no entity at all.
    """
    hits = total = 0
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        true, found = strict_spans(gold_tags), strict_spans(predicted_tags)
        hits += len(true & found)
        total += len(true) + len(found)
    return 2 * hits / total if total else 0.0


def _read(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict) or not isinstance(row.get("tags"), list):
            raise InputError(f"{path}, line {number}: needs an object with a list under 'tags'")
        rows.append(row)
    return rows


def score_unseen(test_file: str | Path, predictions_file: str | Path) -> UnseenScore:
    """Scores predictions for the demo's test split.

    Args:
        test_file: The `test.jsonl` of the demo.
        predictions_file: JSON lines in the same order, each with its predicted `tags`.

    Returns:
        Strict entity F1 on the whole split and on its unseen part.

    Raises:
        InputError: If the files do not have the same sentences, or a line is not as described.
        OSError: If a file cannot be read.
    """
    test, predictions = _read(Path(test_file)), _read(Path(predictions_file))
    if len(test) != len(predictions):
        raise InputError(f"{test_file} has {len(test)} sentences, {predictions_file} has {len(predictions)}")
    for number, (row, prediction) in enumerate(zip(test, predictions, strict=True), start=1):
        words, tags = len(row["tags"]), len(prediction["tags"])
        if words != tags:
            raise InputError(f"sentence {number}: {words} words in {test_file}, {tags} tags in {predictions_file}")
    gold, predicted = [row["tags"] for row in test], [prediction["tags"] for prediction in predictions]
    unseen = [index for index, row in enumerate(test) if row.get("unseen")]
    return UnseenScore(
        entity_f1=strict_f1(gold, predicted),
        unseen_entity_f1=strict_f1([gold[index] for index in unseen], [predicted[index] for index in unseen]),
        rows=len(test),
        unseen_rows=len(unseen),
    )
