"""An export held against the model it was made of, on real rows."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.data.lines import RowError
from lightning_clf.errors import InputError
from lightning_clf.inference import Classifier
from lightning_clf.inference.labelled import has_labels, labelled_batches, open_labelled
from lightning_clf.inference.source import open_source
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import build_metrics
from lightning_clf.prediction import Prediction

_BATCH = 16
_TIMED = 40  # texts whose latency is taken, each alone
_SENTENCES = (
    "Yes.",
    "The film was a great joy from start to end.",
    "Anna Berg moved from Paris to Berlin last May, and nobody knows why.",
    "3,5 % – naïve café, e-mail: x@example.org!",
    "我们明天去北京。",
    "It rained all day; still, the children who had waited for weeks went out, built a dam across the small river "
    "behind the house, and came home late, wet and as happy as they had ever been that year.",
)


@dataclass(frozen=True)
class Side:
    """What one of the two models is measured to be.

    Attributes:
        score: How good it is on the labelled rows; `None` without labels.
        milliseconds: The median time for a text by itself, with one thread.
    """

    score: float | None
    milliseconds: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows.

    Attributes:
        rows: How many rows there were.
        metric: What `score` is; `None` without labels.
        source: The model that was exported.
        export: The export.
        difference: The largest difference of two probabilities, or of two scores as a share of their range. Of a head
            that has neither, 1 where any answer differs.
        agreement: The share of rows, of tags the share of words, that are answered alike.
    """

    rows: int
    metric: str | None
    source: Side
    export: Side
    difference: float
    agreement: float


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, and load graphs that do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def compare(source: Classifier, export: Classifier, file: str | None, columns: Mapping[str, str]) -> Comparison:
    """Answer rows with both.

    Args:
        source: The model.
        export: The export.
        file: A file of rows, labelled or not; `None` takes a few sentences, and as many of random subwords.
        columns: Names of columns, by role, as for `calibrate`.

    Raises:
        InputError: If the file or a row cannot be read.
    """
    labels = source.labels
    metrics = [build_metrics(labels) for _ in range(2)]
    difference, alike, units, rows = 0.0, 0, 0, 0
    alone: list[Batch] = []
    labelled = file is not None and has_labels(source, file, columns)
    for batch in _batches(source, file, columns, labelled=labelled):
        before, after = _predict(source, batch), _predict(export, batch)
        if labelled:
            for metric, prediction in zip(metrics, (before, after), strict=True):
                metric.update(prediction, batch.require_targets())
        difference = max(difference, _difference(before, after, labels), key=_nan_last)
        same, counted = _agreement(before, after, batch, labels)
        alike, units, rows = alike + same, units + counted, rows + len(batch)
        if len(alone) < _TIMED:
            alone.append(_first(batch))
    if not rows:
        raise InputError(f"file {file} holds no row to check the export on: give another --input")
    name = judged_by(labels) if labelled else None
    scores = [None if name is None else float(metric.compute()[name]) for metric in metrics]
    times = _latencies((source, export), alone)
    model, made = (Side(score, milliseconds) for score, milliseconds in zip(scores, times, strict=True))
    return Comparison(rows, name, model, made, difference, alike / max(units, 1))


def judged_by(labels: LabelSpace) -> str:
    """The metric that models of a kind are judged by, as training chooses its best epoch."""
    if labels.kind == "tags":
        return "accuracy" if labels.scheme == "none" else "entity_f1"
    return "spearman" if labels.kind == "score" else "f1_macro"


def _batches(
    classifier: Classifier, file: str | None, columns: Mapping[str, str], *, labelled: bool
) -> Iterator[Batch]:
    if labelled:
        assert file is not None
        yield from map(classifier.collate, labelled_batches(*open_labelled(classifier, file, columns), _BATCH))
        return
    inputs, collate = classifier.inputs, classifier.collate
    rows = _built_in(classifier) if file is None else _rows(file)
    while chunk := list(itertools.islice(rows, _BATCH)):
        encoded = inputs.encode([inputs.read(row, where) for where, row in chunk])
        yield collate(encoded)
        if file is None:
            yield collate([_random(row, classifier) for row in encoded])


def _rows(file: str) -> Iterator[tuple[str, str | dict[str, Any]]]:
    with open_source(file) as source:
        for number, row in source.rows:
            if isinstance(row, RowError):
                raise row
            yield source.where(number), row


def _built_in(classifier: Classifier) -> Iterator[tuple[str, str | dict[str, Any]]]:
    inputs = classifier.inputs
    for number, text in enumerate((*_SENTENCES, " ".join(_SENTENCES * 20)), start=1):
        pair = {inputs.pair: _SENTENCES[number % len(_SENTENCES)]} if inputs.pair else {}
        yield f"sentence {number}", {inputs.text: text, **pair}


def _random(row: dict[str, Any], classifier: Classifier) -> dict[str, Any]:
    """A row with random subwords in the place of its own; special tokens stay, since architectures look for them."""
    special = set(classifier.artefact.tokenizer.all_special_ids)
    vocabulary = [token for token in range(classifier.network.config.vocab_size) if token not in special]
    generator = torch.Generator().manual_seed(len(row["input_ids"]))
    places = torch.randint(len(vocabulary), (len(row["input_ids"]),), generator=generator).tolist()
    ids = [
        token if token in special else vocabulary[place] for token, place in zip(row["input_ids"], places, strict=True)
    ]
    return {**row, "input_ids": ids}


def _predict(classifier: Classifier, batch: Batch) -> Prediction:
    with torch.inference_mode():
        return classifier.network.predict(batch)


def _difference(one: Prediction, other: Prediction, labels: LabelSpace) -> float:
    if one.probabilities is not None and other.probabilities is not None:
        return float((one.probabilities - other.probabilities).abs().max())
    if one.scores is not None and other.scores is not None:
        low, high = labels.range or (0.0, 1.0)
        return float((one.scores - other.scores).abs().max()) / (high - low)
    return float(not torch.equal(_indices(one), _indices(other)))


def _nan_last(value: float) -> float:
    """An order in which what is no number is the largest."""
    return math.inf if math.isnan(value) else value


def _agreement(one: Prediction, other: Prediction, batch: Batch, labels: LabelSpace) -> tuple[int, int]:
    """How many answers are the same, and how many there are."""
    if labels.kind == "score":
        low, high = labels.range or (0.0, 1.0)
        assert one.scores is not None
        assert other.scores is not None
        return int(((one.scores - other.scores).abs() < 0.01 * (high - low)).sum()), len(batch)
    same = _indices(one) == _indices(other)
    if labels.kind == "tags":
        return int((same & batch.word_mask).sum()), int(batch.word_mask.sum())
    return int((same.all(-1) if labels.kind == "multi" else same).sum()), len(batch)


def _indices(prediction: Prediction) -> Tensor:
    assert prediction.indices is not None
    return prediction.indices


def _first(batch: Batch) -> Batch:
    """The first row of a batch alone, without its padding."""
    length = int(batch.inputs["attention_mask"][0].sum())
    cut = {name: tensor[:1, :length] for name, tensor in batch.inputs.items()}
    alone = Batch(cut, batch.example_ids[:1], batch.window_to_example[:1])
    if batch.word_ids is None:
        return alone
    first_subword, counts = batch.words()
    return dataclasses.replace(
        alone, word_ids=batch.word_ids[:1, :length], first_subword=first_subword[:1], word_counts=counts[:1]
    )


def _latencies(sides: Sequence[Classifier], texts: Sequence[Batch]) -> list[float]:
    """Milliseconds a text, in turn, so that what else the machine does falls on both; the first round warms up."""
    seconds: list[list[float]] = [[] for _ in sides]
    for turn in range(4):
        for text in texts:
            for side, taken in zip(sides, seconds, strict=True):
                started = time.perf_counter()
                _predict(side, text)
                if turn:
                    taken.append(time.perf_counter() - started)
    return [1000 * median(taken) for taken in seconds]
