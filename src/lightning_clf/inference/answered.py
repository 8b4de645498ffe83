"""Rows whose answers are known, answered: what a report is made of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_clf.data.lines import Row
from lightning_clf.data.rows import Example
from lightning_clf.errors import InputError
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.labelled import labelled_batches, open_labelled
from lightning_clf.labels import LabelSpace
from lightning_clf.prediction import Prediction


@dataclass
class Speed:
    """What answering took.

    Attributes:
        batch_size: How many rows shared a forward pass.
        batches: Seconds of each full batch, from encoded rows to answers.
        seconds: All of it: reading, encoding, batches.
        tokens: How many subwords went through, padding left out.
    """

    batch_size: int
    batches: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0


@dataclass
class Answered:
    """The labelled rows of a file in their order, and what a model answers.

    Right and given answers are class indices, rising lists of them (`multi`), a tag index a word, or scores.

    Attributes:
        labels: The label space.
        rows: The rows as the file has them.
        numbers: The line each begins in, or its number in a Parquet file.
        examples: Their texts, or words.
        gold: The right answers.
        predicted: The answers, by the model's decision.
        probabilities: Of every class, float32 `[N,C]` on the CPU; of tags for all words one after another; `None` for
            scores and for heads without.
        truncated: How many rows the window cut.
        speed: What it took.
    """

    labels: LabelSpace
    rows: list[Row]
    numbers: list[int]
    examples: list[Example]
    gold: list[Any]
    predicted: list[Any]
    probabilities: Tensor | None
    truncated: int
    speed: Speed


def answer_labelled(classifier: Classifier, file: str, columns: Mapping[str, str], batch_size: int) -> Answered:
    """Read a file of labelled rows with the checks of training, and answer them.

    The arguments and errors are those of `read_held_out`.
    """
    labels, speed, start = classifier.labels, Speed(batch_size), time.perf_counter()
    found: dict[int, tuple[Any, Any, Tensor | None]] = {}
    truncated = 0
    split, encoding = open_labelled(classifier, file, columns)
    for encoded in labelled_batches(split, encoding, batch_size):
        truncated += sum(row["truncated"] > 0 for row in encoded)
        found.update(_answer(classifier, encoded, speed))
    speed.seconds = time.perf_counter() - start
    kept = [(number, row) for place, (number, row) in enumerate(split.rows()) if place in found]
    examples = [encoding.rows.parse(row, split.where(number)) for number, row in kept]
    gold, predicted, probabilities = zip(*(found[place] for place in sorted(found)), strict=True)
    joined = None if probabilities[0] is None else torch.cat(probabilities)
    if (joined is not None and joined.isnan().any()) or (labels.kind == "score" and not _finite(predicted)):
        raise InputError(f"the model's answers to {file} are not all numbers: train it again")
    numbers, rows = [number for number, _ in kept], [row for _, row in kept]
    return Answered(labels, rows, numbers, examples, list(gold), list(predicted), joined, truncated, speed)


def _answer(
    classifier: Classifier, encoded: list[dict[str, Any]], speed: Speed
) -> dict[int, tuple[Any, Any, Tensor | None]]:
    """What one batch was answered, by the place of its rows in the file."""
    network, labels = classifier.network.eval(), classifier.labels
    start = time.perf_counter()
    batch = classifier.collate(encoded)
    with torch.inference_mode():
        prediction = network.predict(batch.to(network.device))
    answers = _plain(labels, prediction, [row.get("word_count", 1) for row in encoded])
    if len(encoded) == speed.batch_size:
        speed.batches.append(time.perf_counter() - start)
    speed.tokens += sum(len(row["input_ids"]) for row in encoded)
    return {row["example_id"]: (row["target"], *each) for row, each in zip(encoded, answers, strict=True)}


def _plain(labels: LabelSpace, prediction: Prediction, words: list[int]) -> list[tuple[Any, Tensor | None]]:
    """Each row's answer in Python's own values, and its probabilities: `[1,C]`, of tags `[words,C]`."""
    if labels.kind == "score":
        assert prediction.scores is not None
        return [(score, None) for score in prediction.scores.cpu().tolist()]
    assert prediction.indices is not None
    indices = prediction.indices.cpu()
    given: list[Any] = indices.tolist()
    if labels.kind == "multi":
        given = [row.nonzero().flatten().tolist() for row in indices]
    elif labels.kind == "tags":
        given = [row[:count].tolist() for row, count in zip(indices, words, strict=True)]
    if prediction.probabilities is None:
        return [(answer, None) for answer in given]
    probabilities = prediction.probabilities.float().cpu()
    # copies, since a view of one row keeps its whole batch
    parts = [
        row[:count].clone() if labels.kind == "tags" else row[None].clone()
        for row, count in zip(probabilities, words, strict=True)
    ]
    return list(zip(given, parts, strict=True))


def _finite(scores: Any) -> bool:
    return bool(torch.tensor(scores).isfinite().all())
