"""Right and given answers → counts a row, and counts → the numbers of the metrics room.

What a metric is made of are sums over rows. They are kept a row, so that any selection of rows, or any number of copies
of each, is scored by the very functions that score an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import Summary
from lightning_clf.metrics.entities import entity_summary
from lightning_clf.metrics.multi_label import multi_label_summary
from lightning_clf.metrics.single_label import single_label_summary
from lightning_clf.schemes import Span, spans

MAIN = {"single": ("accuracy", "f1_macro"), "multi": ("f1_micro", "f1_macro"), "score": ("pearson", "spearman")}
"""The two numbers that stand for a task where there is no room for all."""


@dataclass(frozen=True)
class Outcomes:
    """What was right and what was answered, row by row.

    Attributes:
        labels: The label space.
        gold: Class indices, rising lists of them (`multi`), a tag index a word, or scores.
        predicted: The same.
    """

    labels: LabelSpace
    gold: list[Any]
    predicted: list[Any]

    def __len__(self) -> int:
        """The number of rows, N."""
        return len(self.gold)

    @property
    def has_spans(self) -> bool:
        """Whether the labels are tags of entities."""
        return self.labels.kind == "tags" and self.labels.scheme != "none"

    @property
    def main(self) -> tuple[str, str]:
        """The two numbers that stand for the task."""
        if self.labels.kind == "tags":
            return ("entity_f1", "accuracy") if self.has_spans else ("accuracy", "f1_macro")
        return MAIN[self.labels.kind]

    def right(self) -> list[bool]:
        """Whether a row's whole answer is right; of a score, whether it misses by a tenth of the range at most."""
        if self.labels.kind == "score":
            low, high = self.labels.range or (0.0, 1.0)
            return [
                abs(answer - gold) <= (high - low) / 10 for answer, gold in zip(self.answers, self.gold, strict=True)
            ]
        return [gold == predicted for gold, predicted in zip(self.gold, self.predicted, strict=True)]

    @property
    def answers(self) -> list[float]:
        """Of scores, the answers: held within the range, as `predict` gives them."""
        low, high = self.labels.range or (0.0, 1.0)
        return [min(max(score, low), high) for score in self.predicted]

    def spans_of(self, row: int) -> tuple[list[Span], list[Span]]:
        """The right and the answered entities of a row."""
        names, scheme = self.labels.names, self.labels.scheme
        assert scheme is not None
        gold, predicted = ([names[index] for index in side[row]] for side in (self.gold, self.predicted))
        return spans(gold, scheme), spans(predicted, scheme)


@dataclass(frozen=True)
class Counted:
    """A sparse table of counts, one line a row.

    Attributes:
        rows: How many rows there are, N.
        width: How many counts a row has, K.
        row: Of each count that is not 0 its row, int64 `[E]`.
        column: Its column, int64 `[E]`.
        amount: How much it is, int64 `[E]`.
        summarise: From the counts of some rows, summed, int64 `[K]`, to what the metrics room says of them.
    """

    rows: int
    width: int
    row: Tensor
    column: Tensor
    amount: Tensor
    summarise: Callable[[Tensor], Summary]

    def total(self, weights: Tensor) -> Tensor:
        """The counts of all rows, each as often as it is drawn.

        Args:
            weights: Int64 `[D,N]`.

        Returns:
            Int64 `[D,K]`.
        """
        sums = torch.zeros(len(weights), self.width, dtype=torch.int64)
        return sums.index_add(1, self.column, weights[:, self.row] * self.amount)

    def of_all(self) -> Summary:
        """The summary of every row once."""
        return self.summarise(self.total(torch.ones(1, self.rows, dtype=torch.int64))[0])

    def of(self, chosen: list[int]) -> Counted:
        """Those of some rows, which are numbered anew in their order."""
        place = torch.full((self.rows,), -1)
        place[torch.tensor(chosen)] = torch.arange(len(chosen))
        kept = place[self.row] >= 0
        return Counted(
            len(chosen), self.width, place[self.row[kept]], self.column[kept], self.amount[kept], self.summarise
        )


def count(outcomes: Outcomes) -> Counted:
    """The counts that a task's metrics are made of.

    Raises:
        ValueError: If the answers are scores, which no counts are made of.
    """
    if outcomes.labels.kind == "score":
        raise ValueError("correlations are not made of counts")
    size = len(outcomes.labels)
    if outcomes.has_spans:
        types = outcomes.labels.entity_types
        cells = (len(types) + 1) ** 2
        return _table(outcomes, _entity_counts(outcomes), cells + 2, _entities(len(types)))
    if outcomes.labels.kind == "multi":
        return _table(outcomes, _label_counts(outcomes), 3 * size + 2 + 2 * size + 1, _many(size))
    return _table(
        outcomes, _class_counts(outcomes), size * size, lambda sums: single_label_summary(sums.view(size, size))
    )


def _table(
    outcomes: Outcomes, counts: Iterator[tuple[int, int, int]], width: int, summarise: Callable[[Tensor], Summary]
) -> Counted:
    row, column, amount = torch.tensor([*counts], dtype=torch.int64).view(-1, 3).unbind(1)
    return Counted(len(outcomes), width, row, column, amount, summarise)


def _class_counts(outcomes: Outcomes) -> Iterator[tuple[int, int, int]]:
    """Rows of the confusion matrix, flat; of tags a word each."""
    size = len(outcomes.labels)
    for row, (gold, predicted) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        pairs = zip(gold, predicted, strict=True) if isinstance(gold, list) else [(gold, predicted)]
        for one, other in pairs:
            yield row, one * size + other, 1


def _label_counts(outcomes: Outcomes) -> Iterator[tuple[int, int, int]]:
    """True positives, false positives and false negatives a label, exact, rows, matches by size."""
    size = len(outcomes.labels)
    for row, (gold, predicted) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        right, given = set(gold), set(predicted)
        for part, labels in enumerate((right & given, given - right, right - given)):
            for label in labels:
                yield row, part * size + label, 1
        yield row, 3 * size, int(right == given)
        yield row, 3 * size + 1, 1
        yield row, 3 * size + 2 + len(right) + len(given), len(right & given)


def _many(size: int) -> Callable[[Tensor], Summary]:
    def summarise(sums: Tensor) -> Summary:
        tp, fp, fn = sums[: 3 * size].view(3, size).unbind()
        exact, rows, matches = sums[3 * size], sums[3 * size + 1], sums[3 * size + 2 :]
        tables = torch.stack([rows - tp - fp - fn, fp, fn, tp], dim=1).view(size, 2, 2)
        return multi_label_summary(tables, exact, rows, matches)

    return summarise


def _entity_counts(outcomes: Outcomes) -> Iterator[tuple[int, int, int]]:
    """What `metrics.entities` counts: entities by right and given type, where the boundaries are the same; words."""
    types = {name: place for place, name in enumerate(outcomes.labels.entity_types)}
    none = len(types)
    for row, (tags, given) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        right, found = ({(s.start, s.end): types[s.type] for s in side} for side in outcomes.spans_of(row))
        for place in right.keys() | found.keys():
            yield row, right.get(place, none) * (none + 1) + found.get(place, none), 1
        yield row, (none + 1) ** 2, sum(one == other for one, other in zip(tags, given, strict=True))
        yield row, (none + 1) ** 2 + 1, len(tags)


def _entities(types: int) -> Callable[[Tensor], Summary]:
    side = types + 1
    return lambda sums: entity_summary(sums[: side * side].view(side, side), sums[-2], sums[-1])
