"""Scores to predictions, one function for each kind of label space."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.prediction import Prediction

THRESHOLD = 0.5
"""The probability from which a label of many is given: where the two errors weigh the same."""


def decode_single(scores: Tensor, batch: Batch, labels: LabelSpace) -> Prediction:
    """The likeliest of C, from logits `[B,C]`."""
    return Prediction(scores.argmax(-1), scores.float().softmax(-1))


def decode_multi(scores: Tensor, batch: Batch, labels: LabelSpace) -> Prediction:
    """Every label at or above the threshold, from logits `[B,C]`."""
    probabilities = scores.float().sigmoid()
    return Prediction((probabilities >= THRESHOLD).long(), probabilities)


def decode_tags(scores: Tensor, batch: Batch, labels: LabelSpace) -> Prediction:
    """The likeliest tag of each word, from logits `[B,W,C]`; a word no subword speaks for is outside."""
    first_subword, _ = batch.words()
    seen = first_subword >= 0
    indices = torch.where(seen, scores.argmax(-1), labels.outside)
    return Prediction(indices, scores.float().softmax(-1) * seen[..., None])


def decode_score(scores: Tensor, batch: Batch, labels: LabelSpace) -> Prediction:
    """The score itself, from `[B]`: as it is, since held within the range all that lie beyond it would rank alike."""
    return Prediction(scores=scores.float())


DECODERS: dict[Kind, Callable[[Tensor, Batch, LabelSpace], Prediction]] = {
    "single": decode_single,
    "multi": decode_multi,
    "tags": decode_tags,
    "score": decode_score,
}
