"""Which answers are wrong: the surest of them, what is taken for what, labels that may be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from lightning_clf.inference import Answered
from lightning_clf.reporting.entity_errors import EntityError, count_errors, pair_errors
from lightning_clf.reporting.label_errors import find_label_errors
from lightning_clf.reporting.outcomes import Outcomes
from lightning_clf.reporting.texts import around, shown

MOST = 50
"""How many rows a list names."""


def entity_errors(outcomes: Outcomes) -> list[tuple[int, EntityError]]:
    """Every error of entities, with its row."""
    return [(row, error) for row in range(len(outcomes)) for error in pair_errors(*outcomes.spans_of(row))]


def surest_errors(answered: Answered, outcomes: Outcomes) -> list[dict[str, Any]]:
    """The errors that the model is surest of, at most 50; in the rows' order where it has no probabilities."""
    find = {"single": _rows, "multi": _decisions, "tags": _entities if outcomes.has_spans else _words}
    found = list(find[outcomes.labels.kind](answered, outcomes))
    return sorted(found, key=lambda error: -(error.get("confidence") or 0.0))[:MOST]


def largest_residuals(answered: Answered, outcomes: Outcomes) -> list[dict[str, Any]]:
    """The scores that are furthest from the right ones, at most 50."""
    found = [
        {**_place(answered, row), "gold": gold, "predicted": answer, "residual": answer - gold}
        for row, (gold, answer) in enumerate(zip(outcomes.gold, outcomes.answers, strict=True))
    ]
    return sorted(found, key=lambda row: -abs(row["residual"]))[:MOST]


def confused(outcomes: Outcomes, confusion: Tensor, names: list[str]) -> list[dict[str, Any]]:
    """What is most often taken for what. Of many labels: which is missed where which is given wrongly."""
    if outcomes.labels.kind == "multi":
        pairs = Counter(
            pair
            for gold, given in zip(outcomes.gold, outcomes.predicted, strict=True)
            for pair in product(sorted(set(gold) - set(given)), sorted(set(given) - set(gold)))
        )
        totals = Counter(label for gold in outcomes.gold for label in gold)
    else:
        off = confusion - confusion.diagonal().diag()
        pairs = Counter({(int(r), int(c)): int(off[r, c]) for r, c in off.nonzero()})
        # entities that were made up are no share of anything
        known = confusion[:-1] if outcomes.has_spans else confusion
        totals = Counter(dict(enumerate(known.sum(1).tolist())))
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]
    return [
        {"gold": names[gold], "predicted": names[given], "count": count, "share": _share(count, totals.get(gold))}
        for (gold, given), count in ranked
    ]


def _share(count: int, whole: int | None) -> float | None:
    return None if whole is None else count / whole


def label_errors(answered: Answered, outcomes: Outcomes) -> dict[str, Any] | None:
    """Labels that may be wrong, by confident learning; of many labels each against its absence, of tags by words."""
    probabilities, labels = answered.probabilities, outcomes.labels
    if probabilities is None:
        return None
    if labels.kind == "multi":
        found = [each for label in range(len(labels)) for each in _of_one(answered, probabilities[:, label], label)]
    else:
        # of tags every word is an example
        words = labels.kind == "tags"
        targets = torch.tensor([tag for row in outcomes.gold for tag in row] if words else outcomes.gold)
        lengths = [len(row) if words else 1 for row in outcomes.gold]
        places = [(row, word) for row, length in enumerate(lengths) for word in range(length)]
        seen = (probabilities.sum(1) > 0).nonzero().flatten()  # a word the window cut has no probability
        errors = find_label_errors(probabilities[seen], targets[seen])
        found = []
        for index, other, margin in zip(
            seen[errors.rows].tolist(), errors.suggested.tolist(), errors.margins.tolist(), strict=True
        ):
            row, word = places[index]
            place = _place(answered, row, *((word, word + 1) if words else ()))
            found.append(
                {
                    **place,
                    "label": labels.names[targets[index]],
                    "suggested": labels.names[other],
                    "probability": float(probabilities[index, other]),
                    "margin": margin,
                }
            )
    return {"count": len(found), "rows": sorted(found, key=lambda each: each["margin"])[:MOST]}


def _of_one(answered: Answered, probability: Tensor, label: int) -> Iterator[dict[str, Any]]:
    name = answered.labels.names[label]
    targets = torch.tensor([int(label in gold) for gold in answered.gold])
    errors = find_label_errors(torch.stack([1 - probability, probability], dim=1), targets)
    for row, other, margin in zip(*(each.tolist() for each in errors[2:]), strict=True):
        said = (f"without {name}", name)
        sure = float(probability[row]) if other else 1 - float(probability[row])
        yield {
            **_place(answered, row),
            "label": said[1 - other],
            "suggested": said[other],
            "probability": sure,
            "margin": margin,
        }


def _rows(answered: Answered, outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    names, probabilities = outcomes.labels.names, answered.probabilities
    for row, (gold, given) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        if gold != given:
            sure = None if probabilities is None else float(probabilities[row, given])
            yield {**_place(answered, row), "gold": names[gold], "predicted": names[given], "confidence": sure}


def _decisions(answered: Answered, outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    names, probabilities = outcomes.labels.names, answered.probabilities
    for row, (gold, given) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        for label in sorted(set(gold) ^ set(given)):
            sure = None if probabilities is None else float(probabilities[row, label])
            said = (f"without {names[label]}", names[label])
            yield {
                **_place(answered, row),
                "gold": said[label in gold],
                "predicted": said[label in given],
                "confidence": sure if sure is None or label in given else 1 - sure,
            }


def _words(answered: Answered, outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    names = outcomes.labels.names
    sure = _chosen(answered, outcomes)
    for row, (gold, given) in enumerate(zip(outcomes.gold, outcomes.predicted, strict=True)):
        for word, (one, other) in enumerate(zip(gold, given, strict=True)):
            if one != other:
                yield {
                    **_place(answered, row, word, word + 1),
                    "gold": names[one],
                    "predicted": names[other],
                    "confidence": None if sure is None else sure[row][word],
                }


def _entities(answered: Answered, outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    """An error is as sure as the least sure of the tags of the words it is about."""
    sure = _chosen(answered, outcomes)
    for row, error in entity_errors(outcomes):
        sides = [span for span in (error.gold, error.predicted) if span is not None]
        start, end = min(span.start for span in sides), max(span.end for span in sides)
        words = answered.examples[row].text
        gold, given = (
            None if span is None else f"{span.type}: {' '.join(words[span.start : span.end])}"
            for span in (error.gold, error.predicted)
        )
        yield {
            **_place(answered, row, start, end),
            "error": error.kind,
            "gold": gold,
            "predicted": given,
            "confidence": None if sure is None else min(sure[row][start:end]),
        }


def _chosen(answered: Answered, outcomes: Outcomes) -> list[list[float]] | None:
    """The probability of the tag that each word got."""
    if answered.probabilities is None:
        return None
    given = torch.tensor([tag for tags in outcomes.predicted for tag in tags])
    flat = answered.probabilities.gather(1, given[:, None]).squeeze(1)
    parts = torch.split(flat, [len(tags) for tags in outcomes.predicted])
    return [part.tolist() for part in parts]


def _place(answered: Answered, row: int, start: int | None = None, end: int | None = None) -> dict[str, Any]:
    """The line of a row and its text; of a tagger's row what stands around some words."""
    example = answered.examples[row]
    text = shown(example) if start is None or end is None else around(list(example.text), start, end)
    return {"line": answered.numbers[row], "text": text}


def entity_error_counts(outcomes: Outcomes) -> dict[str, int]:
    """How often each kind of error of entities is made."""
    return count_errors(error for _, error in entity_errors(outcomes))._asdict()
