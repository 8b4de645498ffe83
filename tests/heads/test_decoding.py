"""Scores to predictions against NumPy, for each kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lightning_clf.batch import Batch
from lightning_clf.heads import LinearHead
from lightning_clf.labels import LabelSpace
from lightning_clf.prediction import Prediction

PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])


def decode(labels: LabelSpace, scores: torch.Tensor, batch: Batch) -> Prediction:
    head = LinearHead()
    head.labels = labels
    return head.decode(scores, batch)


def logits(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return (4 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))).to(dtype)


def softmax(scores: torch.Tensor) -> np.ndarray:
    exponentials = np.exp(scores.double().numpy())
    return exponentials / exponentials.sum(-1, keepdims=True)


@PRECISIONS
def test_one_of_many(dtype: torch.dtype, batch: Batch) -> None:
    scores = logits(3, 7, dtype=dtype)
    prediction = decode(LabelSpace.of("abcdefg", "single"), scores, batch)
    np.testing.assert_array_equal(prediction.indices, softmax(scores).argmax(-1))
    assert prediction.probabilities.dtype == torch.float32
    np.testing.assert_allclose(prediction.probabilities, softmax(scores), atol=1e-6)
    assert prediction.scores is None


@PRECISIONS
def test_any_of_many(dtype: torch.dtype, batch: Batch) -> None:
    scores = logits(3, 7, dtype=dtype)
    scores[0] = torch.tensor([0.0, -0.0, 1e-3, -1e-3, 100, -100, 2])
    prediction = decode(LabelSpace.of("abcdefg", "multi"), scores, batch)
    expected = 1 / (1 + np.exp(-scores.double().numpy()))
    assert prediction.probabilities.dtype == torch.float32
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    assert prediction.indices[0].tolist() == [1, 1, 1, 0, 1, 0, 1]  # exactly one half is given
    np.testing.assert_array_equal(prediction.indices, expected >= 0.5)
    assert prediction.indices.dtype == torch.int64


@PRECISIONS
@pytest.mark.parametrize(
    ("labels", "unseen"),
    [
        (LabelSpace.tags(["PER", "LOC"], "IOB2"), 0),
        (LabelSpace(("B-X", "I-X", "O", "B-Y", "I-Y"), "tags", "IOB2"), 2),
        (LabelSpace.tags(["NN", "VB", "DT", "IN", "."], "none"), 0),
    ],
)
def test_words_that_nothing_speaks_for_are_outside(
    dtype: torch.dtype, labels: LabelSpace, unseen: int, batch: Batch
) -> None:
    scores = logits(3, 4, 5, dtype=dtype)
    prediction = decode(labels, scores, batch)
    seen = np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(prediction.indices, np.where(seen, softmax(scores).argmax(-1), unseen))
    np.testing.assert_allclose(prediction.probabilities, softmax(scores) * seen[..., None], atol=1e-6)
    assert prediction.probabilities.dtype == torch.float32


def test_scores_beyond_the_range_still_rank(batch: Batch) -> None:
    scores = torch.tensor([-0.5, 0.0, 3.25, 5.0, 5.5], dtype=torch.bfloat16)
    prediction = decode(LabelSpace.score(0, 5), scores, batch)
    assert prediction.scores.tolist() == scores.tolist()
    assert prediction.scores.dtype == torch.float32
    assert prediction.indices is prediction.probabilities is None
