"""Predictions to plain answers, one a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lightning_clf.inference.inputs import ReadRow
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.prediction import Prediction
from lightning_clf.schemes import spans

Answer = dict[str, Any]
_DIGITS = 6


def answer(labels: LabelSpace, prediction: Prediction, place: int, row: ReadRow) -> Answer:
    """What the example at `place` in its batch was answered."""
    return _ANSWERS[labels.kind](labels, prediction, place, row)


def confidence(given: Answer) -> float:
    """The probability that an answer of one label, or of any number of labels, is right as a whole.

    Of any number of labels it is the product over all labels of the probability that each is given or left out rightly,
    as if they were independent. It follows from the answer as it is written, so that a reader can tell it too.
    """
    probabilities = given["probabilities"]
    if "label" in given:
        return float(probabilities[given["label"]])
    names = set(given["labels"])
    chances: Mapping[str, float] = probabilities
    return math.prod(value if name in names else 1 - value for name, value in chances.items())


def _single(labels: LabelSpace, prediction: Prediction, place: int, row: ReadRow) -> Answer:
    chosen = int(_given(prediction.indices)[place])
    probabilities = _named(labels, prediction.probabilities, place)
    name = labels.names[chosen]
    result: Answer = {"label": name, "probability": probabilities.get(name), "probabilities": probabilities}
    if prediction.abstained is not None:
        result["abstained"] = bool(prediction.abstained[place])
    if prediction.label_sets is not None:
        members = prediction.label_sets[place].nonzero().flatten().tolist()
        result["label_set"] = [labels.names[index] for index in members]
    return result


def _multi(labels: LabelSpace, prediction: Prediction, place: int, row: ReadRow) -> Answer:
    chosen = _given(prediction.indices)[place].nonzero().flatten().tolist()
    return {
        "labels": [labels.names[index] for index in chosen],
        "probabilities": _named(labels, prediction.probabilities, place),
    }


def _score(labels: LabelSpace, prediction: Prediction, place: int, row: ReadRow) -> Answer:
    low, high = labels.range or (None, None)
    return {"score": round(float(_given(prediction.scores)[place].clamp(low, high)), _DIGITS)}


def _tags(labels: LabelSpace, prediction: Prediction, place: int, row: ReadRow) -> Answer:
    count = len(row.words)
    indices = _given(prediction.indices)[place, :count]
    tags = [labels.names[index] for index in indices.tolist()]
    result: Answer = {"tokens": row.words, "tags": tags}
    if prediction.probabilities is not None:
        chosen = prediction.probabilities[place, :count].gather(1, indices[:, None]).squeeze(1).tolist()
        # a word that no subword in the window speaks for has no probability
        result["probabilities"] = [round(value, _DIGITS) if value > 0 else None for value in chosen]
    if labels.scheme != "none":
        assert labels.scheme is not None
        result["entities"] = [
            {"type": kind, "start": start, "end": end, **_surface(row, start, end)}
            for kind, start, end in spans(tags, labels.scheme)
        ]
    return result


def _surface(row: ReadRow, start: int, end: int) -> Answer:
    """The words of a span; for a string also where it lies in it, such that `text[char_start:char_end]` is `text`."""
    if row.offsets is None:
        return {"text": " ".join(row.words[start:end])}
    first, last = row.offsets[start][0], row.offsets[end - 1][1]
    return {"text": row.texts[0][first:last], "char_start": first, "char_end": last}


def _named(labels: LabelSpace, probabilities: Tensor | None, place: int) -> dict[str, float]:
    if probabilities is None:
        return {}
    values = probabilities[place].tolist()
    return {name: round(value, _DIGITS) for name, value in zip(labels.names, values, strict=True)}


def _given(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise TypeError("the head's decode left out what this kind of label is answered with")
    return tensor


_ANSWERS: dict[Kind, Callable[[LabelSpace, Prediction, int, ReadRow], Answer]] = {
    "single": _single,
    "multi": _multi,
    "score": _score,
    "tags": _tags,
}
