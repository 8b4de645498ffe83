"""A model and labelled rows → everything a report says, in primitives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lightning_clf.data.rows import first_row
from lightning_clf.graph import load_runnable
from lightning_clf.inference import Answered, Classifier, answer_labelled
from lightning_clf.inference.labelled import open_file
from lightning_clf.reporting import mistakes, origin
from lightning_clf.reporting.drawn import count_curves, describe_curves
from lightning_clf.reporting.outcomes import Counted, Outcomes, count
from lightning_clf.reporting.parts import by_column, by_length, check_columns
from lightning_clf.reporting.ranked import NAMES, column_to_rank, rank, ranked_intervals
from lightning_clf.reporting.ranks import ranking_intervals
from lightning_clf.reporting.resampling import (
    LEVEL,
    SEED,
    agreement_intervals,
    as_json,
    interval,
    resampled,
)
from lightning_clf.reporting.texts import shown, text_length
from lightning_clf.reporting.unseen import unseen_words, words_of

FORMAT = 1
"""Which form the JSON has; another number when an older version could not compare it."""


def build(
    model: str,
    source: str,
    columns: Mapping[str, str],
    slices: Sequence[str],
    train: str | None,
    batch_size: int,
    device: str | None,
    draws: int,
) -> dict[str, Any]:
    """Answer the rows and say all there is to say of the answers. The arguments are those of `report`."""
    classifier = Classifier(load_runnable(model), columns).to(device)
    split = open_file(source)
    first = first_row(split)
    check_columns(first, slices, source)
    group = column_to_rank(classifier, columns, first, source)
    seen = None if train is None else read_words(classifier, train)
    named = columns if group is None else {**columns, "group": group}
    answered = answer_labelled(classifier, source, named, batch_size)
    outcomes = Outcomes(answered.labels, answered.gold, answered.predicted)
    ranked = rank(answered)
    counted = None if outcomes.labels.kind == "score" else count(outcomes)
    found = {
        "format": FORMAT,
        "kind": "report",
        "labels": outcomes.labels.to_dict(),
        "main": list(outcomes.main),
        "data": {
            "file": source,
            "sha256": origin.digest(split.path),
            "rows": len(outcomes),
            "truncated": answered.truncated,
        },
        "model": origin.describe_model(model, classifier),
        "machine": origin.describe_machine(classifier.network.device),
        "speed": origin.describe_speed(answered),
        "bootstrap": {"draws": draws, "seed": SEED, "level": LEVEL, "unit": _unit(outcomes)},
        **(
            _of_scores(answered, outcomes, draws)
            if counted is None
            else _of_decisions(answered, outcomes, counted, draws)
        ),
        "lengths": by_length(outcomes, counted, [text_length(example) for example in answered.examples], draws),
        "slices": [by_column(outcomes, counted, answered.rows, column, draws) for column in slices],
    }
    if ranked is not None:
        found["ranking"] = {"column": group, **ranked.counts()}
        found["main"] = [*NAMES, *outcomes.main]
        found["metrics"] = as_json(ranked_intervals(ranked, draws)) | found["metrics"]
    if seen is not None:
        texts = [words_of(example.text) + words_of(example.pair or "") for example in answered.examples]
        found["unseen"] = {"train": train, **unseen_words(texts, outcomes.right(), seen)}
    rows = _rows(answered, outcomes)
    if ranked is not None:
        rows = [row | each for row, each in zip(rows, ranked.rows(), strict=True)]
    return found | {"rows": rows}


def read_words(classifier: Classifier, file: str) -> set[str]:
    """Every word of the texts of a file, which need no labels.

    Raises:
        InputError: If the file or a row cannot be read.
    """
    split = open_file(file)
    words: set[str] = set()
    for number, row in split.rows():
        read = classifier.inputs.read(row, split.where(number))
        for part in [read.words] if classifier.inputs.tags else read.texts:
            words.update(words_of(part))
    return words


def _unit(outcomes: Outcomes) -> str:
    return "sentences" if outcomes.labels.kind == "tags" else "rows"


def _of_decisions(answered: Answered, outcomes: Outcomes, counted: Counted, draws: int) -> dict[str, Any]:
    summary, drawn, labels = counted.of_all(), resampled(counted, draws), outcomes.labels
    metrics = {name: interval(float(value), drawn[name]) for name, value in summary.scalars.items()}
    if answered.probabilities is not None and labels.kind in ("single", "multi"):
        positives = torch.zeros(len(outcomes), len(labels), dtype=torch.bool)
        for row, right in enumerate(outcomes.gold):
            positives[row, right] = True
        metrics |= ranking_intervals(answered.probabilities, positives, exclusive=labels.kind == "single", draws=draws)
    names = list(labels.entity_types if outcomes.has_spans else labels.names)
    tally = summary.tally
    columns = (tally.precision, tally.recall, tally.f1, tally.gold)
    classes = [
        {"label": name, "precision": p, "recall": r, "f1": interval(f1, drawn["f1"][:, place])._asdict(), "support": n}
        for place, (name, p, r, f1, n) in enumerate(zip(names, *(column.tolist() for column in columns), strict=True))
    ]
    axis = [*names, "none"] if outcomes.has_spans else names
    curves = None if answered.probabilities is None else count_curves(labels, answered.probabilities, outcomes.gold)
    found = {
        "metrics": as_json({name: metrics[name] for name in dict.fromkeys([*outcomes.main, *metrics])}),
        "classes": classes,
        "confusion": {"names": axis, "counts": summary.confusion.tolist()},
        "confused": mistakes.confused(outcomes, summary.confusion, axis),
        "curves": None if curves is None else describe_curves(labels, curves),
        "errors": mistakes.surest_errors(answered, outcomes),
        "label_errors": mistakes.label_errors(answered, outcomes),
    }
    if outcomes.has_spans:
        kinds = mistakes.entity_error_counts(outcomes)
        # what the kinds add up to is what the strict score counts, or one of the two is wrong
        assert kinds["false_negatives"] == int((tally.gold - tally.correct).sum())
        assert kinds["false_positives"] == int((tally.predicted - tally.correct).sum())
        found["entity_errors"] = kinds
    return found


def _of_scores(answered: Answered, outcomes: Outcomes, draws: int) -> dict[str, Any]:
    return {
        "metrics": as_json(agreement_intervals(outcomes, draws)),
        "residuals": mistakes.largest_residuals(answered, outcomes),
    }


def _rows(answered: Answered, outcomes: Outcomes) -> list[dict[str, Any]]:
    """What a comparison needs of every row: right and given answers by name."""

    def named(value: Any) -> Any:
        if outcomes.labels.kind == "score":
            return value
        return [names[index] for index in value] if isinstance(value, list) else names[value]

    names = outcomes.labels.names
    return [
        {"line": number, "text": shown(example, 120), "gold": named(gold), "predicted": named(given)}
        for number, example, gold, given in zip(
            answered.numbers, answered.examples, outcomes.gold, outcomes.predicted, strict=True
        )
    ]
