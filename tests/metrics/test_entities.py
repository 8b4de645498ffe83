"""Entity scores against seqeval in strict mode, and the batch reader of spans against the one for sentences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB1, IOB2, IOBES
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import EntityF1
from lightning_clf.schemes import Scheme, Span, spans
from lightning_clf.span_grid import TagTables, find_spans

SPAN_SCHEMES: list[Scheme] = ["IOB1", "IOB2", "BIOES"]
SEQEVAL_SCHEMES = {"IOB1": IOB1, "IOB2": IOB2, "BIOES": IOBES}

Grid = list[list[int]]


def random_tags(labels: LabelSpace, examples: int, seed: int, longest: int = 9) -> tuple[Grid, Grid]:
    """Right and predicted tag indices; anything may follow anything, and most words agree so that entities do."""
    generator = np.random.default_rng(seed)
    gold = [generator.integers(0, len(labels), generator.integers(1, longest + 1)).tolist() for _ in range(examples)]
    guess = [[tag if generator.random() < 0.8 else int(generator.integers(len(labels))) for tag in row] for row in gold]
    return gold, guess


def padded(rows: Grid, fill: int = IGNORE) -> Tensor:
    """The rows as one tensor `[B,W]`."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)


def names(rows: Grid, labels: LabelSpace) -> list[list[str]]:
    """The rows as tags."""
    return [[labels.names[index] for index in row] for row in rows]


def seqeval_scores(gold: Grid, guess: Grid, labels: LabelSpace, average: str | None = "micro") -> Any:
    """Precision, recall, F1 and support by seqeval in strict mode."""
    return precision_recall_fscore_support(
        names(gold, labels),
        names(guess, labels),
        average=average,
        scheme=SEQEVAL_SCHEMES[str(labels.scheme)],
        zero_division=0,
    )


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
def test_equals_seqeval_on_random_tags_legal_or_not(scheme: Scheme) -> None:
    examples = 10_000
    labels = LabelSpace.tags(["PER", "LOC", "ORG"], scheme)
    gold, guess = random_tags(labels, examples, seed=1, longest=7)
    scores = EntityF1(labels)
    for start in range(0, examples, 371):
        batch = slice(start, start + 371)
        scores.update(padded(guess[batch], fill=0), padded(gold[batch]))
    values = scores.compute()

    precision, recall, f1, _ = seqeval_scores(gold, guess, labels)
    assert values["entity_precision"].item() == pytest.approx(precision, abs=1e-12)
    assert values["entity_recall"].item() == pytest.approx(recall, abs=1e-12)
    assert values["entity_f1"].item() == pytest.approx(f1, abs=1e-12)
    assert 0.05 < f1 < 0.95  # the comparison is of something
    words = [a == b for right, said in zip(gold, guess, strict=True) for a, b in zip(right, said, strict=True)]
    assert values["accuracy"].item() == pytest.approx(sum(words) / len(words), abs=1e-12)


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
def test_each_type_equals_seqeval(scheme: Scheme) -> None:
    labels = LabelSpace.tags(["LOC", "ORG", "PER"], scheme)  # seqeval sorts types
    gold, guess = random_tags(labels, 400, seed=2)
    scores = EntityF1(labels)
    scores.update(padded(guess), padded(gold))
    rows = scores.per_class()
    for row, *expected in zip(rows, *seqeval_scores(gold, guess, labels, average=None), strict=True):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(expected, abs=1e-12)
    assert [row.label for row in rows] == ["LOC", "ORG", "PER"]


@pytest.mark.parametrize(("scheme", "length"), [("IOB1", 4), ("IOB2", 4), ("BIOES", 3)])
def test_batch_reader_finds_the_spans_of_the_sentence_reader(scheme: Scheme, length: int) -> None:
    labels = LabelSpace.tags(["PER", "LOC"], scheme)
    rows = [list(row) for size in range(1, length + 1) for row in itertools.product(range(len(labels)), repeat=size)]
    tags = padded(rows)
    starts, ends, kinds = (grid.tolist() for grid in find_spans(tags, tags != IGNORE, TagTables.of(labels)))
    for row, start, end, kind in zip(names(rows, labels), starts, ends, kinds, strict=True):
        found = [Span(labels.entity_types[kind[word]], word, end[word]) for word in range(len(start)) if start[word]]
        assert found == spans(row, scheme)


def test_bilou_names_are_read_as_bioes() -> None:
    labels = LabelSpace(("O", "B-PER", "I-PER", "L-PER", "U-PER"), "tags", "BIOES")
    scores = EntityF1(labels)
    scores.update(torch.tensor([[1, 3, 4, 1]]), torch.tensor([[1, 3, 4, 4]]))  # the lone B- at the end is no entity
    assert tuple(scores.per_class()[0]) == ("PER", 1.0, pytest.approx(2 / 3), pytest.approx(0.8), 3)


def test_confusion_is_by_exact_boundaries() -> None:
    labels = LabelSpace.tags(["PER", "LOC"], "IOB2")  # O, B-PER, I-PER, B-LOC, I-LOC
    scores = EntityF1(labels)
    gold = [1, 2, 0, 3, 0, 1, 0]  # PER 0-2, LOC 3-4, PER 5-6
    said = [3, 4, 0, 3, 4, 1, 1]  # LOC 0-2, LOC 3-5, PER 5-6, PER 6-7
    scores.update(torch.tensor([said]), torch.tensor([gold]))
    #                                     PER LOC none
    assert scores.confusion().tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]
    assert [row.support for row in scores.per_class()] == [2, 1]


def test_an_entity_cut_off_counts_as_missed() -> None:
    labels = LabelSpace.tags(["PER"], "IOB2")
    scores = EntityF1(labels)
    scores.update(torch.tensor([[1, 0, 0]]), torch.tensor([[1, 0, 1]]))  # the word lost to the window was given O
    assert scores.compute()["entity_recall"].item() == 0.5


def test_no_batch_and_batches_without_words_give_zeros() -> None:
    scores = EntityF1(LabelSpace.tags(["PER"], "IOB2"))
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert {value.item() for value in scores.compute().values()} == {0.0}
    scores.update(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0, dtype=torch.int64))
    scores.update(torch.zeros(2, 3, dtype=torch.int64), torch.full((2, 3), IGNORE))
    assert scores.compute()["entity_f1"].item() == 0.0
    assert scores.per_class() == [("PER", 0.0, 0.0, 0.0, 0)]


def test_labels_without_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="have no spans"):
        EntityF1(LabelSpace.tags(["NOUN", "VERB"], "none"))
