"""Candidates that are ranked within their question: MAP and MRR of a report, with whole questions drawn anew."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_clf.data.lines import Row
from lightning_clf.errors import InputError
from lightning_clf.inference import Answered, Classifier
from lightning_clf.metrics.grouped import ranking_by_group
from lightning_clf.reporting.resampling import DRAWS, SEED, Interval, draw, interval

NAMES = ("map", "mrr")
"""What the metrics room calls the two numbers."""


@dataclass(frozen=True)
class Ranked:
    """Rows as candidates.

    Attributes:
        groups: Which question each is a candidate for, numbered from 0. `[N]`.
        probabilities: Of the second of the two labels, by which they are ranked. `[N]`.
        right: Whether that is the right label. `[N]`.
    """

    groups: list[int]
    probabilities: list[float]
    right: list[bool]

    @classmethod
    def of_report(cls, report: Mapping[str, Any], right: Sequence[int]) -> Ranked | None:
        """The candidates of a report, as `rows` wrote them; `None` where it ranks none.

        Args:
            report: What its JSON file holds.
            right: The right class index of each row.

        Raises:
            Exception: Of various classes, if the report is not whole.
        """
        if "ranking" not in report:
            return None
        rows = report["rows"]
        groups, probabilities = [int(row["group"]) for row in rows], [float(row["probability"]) for row in rows]
        return cls(groups, probabilities, [index == 1 for index in right])

    def rows(self) -> Iterator[dict[str, Any]]:
        """What a comparison needs of every row besides its answer."""
        for group, probability in zip(self.groups, self.probabilities, strict=True):
            yield {"group": group, "probability": probability}

    def counts(self) -> dict[str, int]:
        """How many questions there are, and how many have a right candidate, so that they count."""
        kept = ~self.by_group()[0].isnan()
        return {"groups": len(kept), "counted": int(kept.sum())}

    def by_group(self) -> Tensor:
        """Average precision and reciprocal rank a question, float64 `[2,G]`; NaN where no candidate is right."""
        return torch.stack(
            ranking_by_group(torch.tensor(self.probabilities), torch.tensor(self.right), torch.tensor(self.groups))
        )


def column_to_rank(classifier: Classifier, columns: Mapping[str, str], row: Row, file: str) -> str | None:
    """The column whose value rows share that are ranked together: that named, else that of training; `None` for none.

    Args:
        classifier: The model.
        columns: Names of columns, by role.
        row: The first row of the file. Where it lacks the column of training, as a file for other ends may, that is
            told; where it lacks the column named, whoever reads the rows refuses it.
        file: Where it is from.

    Raises:
        InputError: If one is named for labels that do not rank.
    """
    labels, trained = classifier.labels, classifier.artefact.columns.get("group")
    if (named := columns.get("group")) is not None:
        if labels.kind != "single" or len(labels) != 2:
            raise InputError(
                f"--group-column {named} ranks by the second of two labels of which one is right, and the model's are "
                f"others (kind {labels.kind}): leave it out"
            )
        return named
    if trained is not None and trained not in row:
        warnings.warn(
            f"{file} has no column {trained!r} to rank by, so that there is neither map nor mrr: name another with "
            "--group-column",
            stacklevel=2,
        )
        return None
    return trained


def rank(answered: Answered) -> Ranked | None:
    """The rows as candidates; `None` where they are read without a group, or the head gives no probabilities."""
    if answered.probabilities is None or answered.examples[0].group is None:
        return None
    numbers: dict[str | None, int] = {}
    groups = [numbers.setdefault(example.group, len(numbers)) for example in answered.examples]
    return Ranked(groups, answered.probabilities[:, 1].tolist(), [index == 1 for index in answered.gold])


def ranked_intervals(ranked: Ranked, draws: int = DRAWS, seed: int = SEED) -> dict[str, Interval]:
    """`map` and `mrr` with their intervals: the candidates for one question are no rows by themselves."""
    each = ranked.by_group()
    drawn = torch.cat([means(each, weights) for weights in draw(each.shape[1], draws, seed)], dim=1)
    return {name: interval(float(each[place].nanmean()), drawn[place]) for place, name in enumerate(NAMES)}


def means(each: Tensor, weights: Tensor) -> Tensor:
    """The means over questions that have a right candidate, each as often as it is drawn.

    Args:
        each: What `Ranked.by_group` gives, `[2,G]`.
        weights: How often each question is drawn, int64 `[D,G]`.

    Returns:
        Float64 `[2,D]`; NaN where a draw has no such question.
    """
    kept = ~each[0].isnan()
    times = weights[:, kept].double()
    return each[:, kept] @ times.T / times.sum(1)
