"""Single- and multi-label scores against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import MultiLabelScores, SingleLabelScores

SCORES = {
    "f1": sklearn_metrics.f1_score,
    "precision": sklearn_metrics.precision_score,
    "recall": sklearn_metrics.recall_score,
}
SHARED = {"accuracy", "f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro"}


def reference(name: str, gold: Any, said: Any) -> Any:
    """The scikit-learn number of one of our names."""
    if name == "accuracy":
        return sklearn_metrics.accuracy_score(gold, said)
    if name == "hamming_loss":
        return sklearn_metrics.hamming_loss(gold, said)
    score, average = name.split("_")
    return SCORES[score](gold, said, average=average, zero_division=0)


@pytest.mark.parametrize("classes", [2, 7])
def test_single_label_equals_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(classes)
    used = max(2, classes - 2)  # of seven classes, two are neither right nor predicted: left out of macro means
    gold, said = generator.integers(0, used, 500), generator.integers(0, used, 500)
    labels = LabelSpace.of([f"c{index}" for index in range(classes)], "single")
    scores = SingleLabelScores(labels)
    for start in range(0, 500, 64):
        scores.update(torch.tensor(said[start : start + 64]), torch.tensor(gold[start : start + 64]))
    values = scores.compute()
    assert set(values) == SHARED
    for name, value in values.items():
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(reference(name, gold, said), abs=1e-12), name
    every = list(range(classes))
    columns = sklearn_metrics.precision_recall_fscore_support(gold, said, labels=every, zero_division=0)
    for row, *expected in zip(scores.per_class(), *columns, strict=True):
        assert tuple(row[1:]) == pytest.approx(expected, abs=1e-12)
    assert scores.confusion().tolist() == sklearn_metrics.confusion_matrix(gold, said, labels=every).tolist()


def test_single_label_scores_words_and_leaves_padding_out() -> None:
    scores = SingleLabelScores(LabelSpace.tags(["NOUN", "VERB", "X"], "none"))
    scores.update(torch.tensor([[0, 1, 2], [1, 0, IGNORE]]), torch.tensor([[0, 0, 2], [1, IGNORE, IGNORE]]))
    assert scores.compute()["accuracy"].item() == 0.75
    assert sum(row.support for row in scores.per_class()) == 4


@pytest.mark.parametrize("target_type", [torch.int64, torch.float32])
def test_multi_label_equals_scikit_learn(target_type: torch.dtype) -> None:
    generator = np.random.default_rng(0)
    gold, said = (generator.random((2, 400, 6)) < 0.25).astype(int)
    gold[:, 4] = 0  # a label that is never right
    said[:, 5] = gold[:, 5] = 0  # a label that never occurs: it still counts in macro means, with 0
    labels = LabelSpace.of("abcdef", "multi")
    scores = MultiLabelScores(labels)
    for start in range(0, 400, 64):
        batch = slice(start, start + 64)
        scores.update(torch.tensor(said[batch]), torch.tensor(gold[batch]).to(target_type))
    values = scores.compute()
    assert set(values) == SHARED | {"f1_samples", "hamming_loss"}
    for name, value in values.items():
        assert value.item() == pytest.approx(reference(name, gold, said), abs=1e-12), name
    columns = sklearn_metrics.precision_recall_fscore_support(gold, said, zero_division=0)
    for row, *expected in zip(scores.per_class(), *columns, strict=True):
        assert tuple(row[1:]) == pytest.approx(expected, abs=1e-12)
    assert scores.confusion().tolist() == sklearn_metrics.multilabel_confusion_matrix(gold, said).tolist()


def test_multi_label_leaves_unlabelled_examples_out() -> None:
    scores = MultiLabelScores(LabelSpace.of(["a", "b"], "multi"))
    scores.update(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1.0, 0.0], [IGNORE, IGNORE]]))
    assert scores.compute()["accuracy"].item() == 1.0
    assert scores.compute()["hamming_loss"].item() == 0.0
    assert scores.confusion().sum().item() == 2


def test_per_class_needs_no_compute_before_and_follows_updates() -> None:
    scores = SingleLabelScores(LabelSpace.of(["a", "b"], "single"))
    scores.update(torch.tensor([0]), torch.tensor([0]))
    assert [row.support for row in scores.per_class()] == [1, 0]
    scores.update(torch.tensor([0]), torch.tensor([1]))
    assert [row.support for row in scores.per_class()] == [1, 1]
    scores.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert [row.support for row in scores.per_class()] == [0, 0]


@pytest.mark.parametrize("metric", [SingleLabelScores, MultiLabelScores])
def test_labels_of_another_kind_are_refused(metric: type[SingleLabelScores] | type[MultiLabelScores]) -> None:
    with pytest.raises(ValueError, match="does not score labels of kind tags with scheme IOB2"):
        metric(LabelSpace.tags(["PER"], "IOB2"))
