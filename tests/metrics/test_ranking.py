"""AUROC, average precision and calibration against scikit-learn and by hand; correlations against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, roc_auc_score

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import AgreementScores, RankingScores

SCORE = LabelSpace.score(0, 5)


@pytest.fixture
def softmax() -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities `[B,C]`, with ties, and right classes `[B]`."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 4, (600,), generator=generator)
    logits = torch.randn(600, 4, generator=generator).round(decimals=1)
    return (logits + torch.nn.functional.one_hot(targets, 4)).softmax(1), targets


def ranking(labels: LabelSpace, probabilities: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """The numbers after three batches."""
    scores = RankingScores(labels)
    for preds, gold in zip(probabilities.tensor_split(3), targets.tensor_split(3), strict=True):
        scores.update(preds, gold)
    return {name: value.item() for name, value in scores.compute().items()}


def calibration(confidences: np.ndarray, hits: np.ndarray) -> float:
    """The expected calibration error from its definition: bins ]k/15, (k+1)/15]."""
    bins = np.clip(np.ceil(confidences * 15) - 1, 0, 14)
    gaps = [abs(confidences[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))


def test_single_label_equals_scikit_learn(softmax: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, targets = softmax
    values = ranking(LabelSpace.of("abcd", "single"), probabilities, targets)
    gold = np.eye(4)[targets.numpy()]
    assert values["auroc"] == pytest.approx(roc_auc_score(gold, probabilities, average="macro"), abs=1e-6)
    assert values["average_precision"] == pytest.approx(average_precision_score(gold, probabilities), abs=1e-6)
    top = probabilities.max(1)
    hits = (top.indices == targets).double().numpy()
    assert values["ece"] == pytest.approx(calibration(top.values.double().numpy(), hits), abs=1e-12)


def test_multi_label_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    gold = (generator.random((500, 5)) < 0.2).astype(np.float32)
    probabilities = np.clip(generator.random((500, 5)) * 0.7 + gold * 0.2, 0, 1).astype(np.float32)
    values = ranking(LabelSpace.of("abcde", "multi"), torch.tensor(probabilities), torch.tensor(gold))
    assert values["auroc"] == pytest.approx(roc_auc_score(gold, probabilities, average="macro"), abs=1e-6)
    assert values["average_precision"] == pytest.approx(average_precision_score(gold, probabilities), abs=1e-6)
    flat = probabilities.astype(np.float64).ravel()
    assert values["ece"] == pytest.approx(calibration(flat, gold.astype(np.float64).ravel()), abs=1e-12)


def test_absent_classes_and_ignored_examples_are_left_out(
    softmax: tuple[torch.Tensor, torch.Tensor], recwarn: pytest.WarningsRecorder
) -> None:
    probabilities, targets = softmax
    present = targets < 3
    gold = targets.where(present, IGNORE)
    values = ranking(LabelSpace.of("abcd", "single"), probabilities, gold)
    one_hot, kept = np.eye(4)[targets[present].numpy()][:, :3], probabilities[present][:, :3]
    assert values["auroc"] == pytest.approx(roc_auc_score(one_hot, kept), abs=1e-6)
    assert values["average_precision"] == pytest.approx(average_precision_score(one_hot, kept), abs=1e-6)
    assert not [warning for warning in recwarn if "positive" in str(warning.message)]


def test_undefined_is_nan_and_does_not_crash() -> None:
    labels = LabelSpace.of("ab", "single")
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert all(value.isnan() for value in RankingScores(labels).compute().values())
    one_class = ranking(labels, torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([0, 0, 0]))
    assert math.isnan(one_class["auroc"])  # no negatives for a, no positives for b
    assert one_class["average_precision"] == 1.0  # of a alone
    broken = ranking(labels, torch.full((3, 2), math.nan), torch.tensor([0, 1, 0]))
    assert all(math.isnan(value) for value in broken.values())


def test_probabilities_of_exactly_one_and_a_rounding_above() -> None:
    probabilities = torch.tensor([[1.0, 0.0], [1.0000001, 0.0], [0.95, 0.05], [0.4, 0.6]])
    values = ranking(LabelSpace.of("ab", "single"), probabilities, torch.tensor([0, 0, 1, 1]))
    # the first three share the last bin: two hits, mean confidence 0.98333
    assert values["ece"] == pytest.approx(0.75 * abs(2.95 / 3 - 2 / 3) + 0.25 * 0.4, abs=1e-7)
    assert probabilities.max() > 1
    assert values["auroc"] == 1.0


def agreement(preds: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """The numbers after two batches."""
    scores = AgreementScores(SCORE)
    for said, gold in zip(preds.tensor_split(2), targets.tensor_split(2), strict=True):
        scores.update(said, gold)
    return {name: value.item() for name, value in scores.compute().items()}


def test_correlations_equal_scipy() -> None:
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 11, 700).astype(np.float32) / 2  # many ties
    said = (gold + generator.normal(0, 1, 700)).astype(np.float32).round(1)
    values = agreement(torch.tensor(said), torch.tensor(gold))
    said, gold = said.astype(np.float64), gold.astype(np.float64)
    assert values["pearson"] == pytest.approx(stats.pearsonr(said, gold).statistic, abs=1e-12)
    assert values["spearman"] == pytest.approx(stats.spearmanr(said, gold).statistic, abs=1e-12)
    # an answer lies within the range of the labels
    assert values["mse"] == pytest.approx(np.mean((said.clip(*SCORE.range) - gold) ** 2), abs=1e-12)


def test_spearman_of_very_many_ties() -> None:
    gold = torch.arange(200_000) % 2  # 100,000 equal ranks a value overflow int32
    values = agreement(gold.float(), gold.float())
    assert values["spearman"] == pytest.approx(1.0, abs=1e-12)


def test_correlations_that_are_not_defined() -> None:
    varied, constant = torch.tensor([1.0, 2.0, 4.0]), torch.full((3,), 2.5)
    assert agreement(constant, varied)["pearson"] == agreement(constant, varied)["spearman"] == 0.0
    assert math.isnan(agreement(varied, constant)["pearson"])
    assert math.isnan(agreement(varied, constant)["spearman"])
    assert math.isnan(agreement(varied[:1], varied[:1])["pearson"])
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert all(value.isnan() for value in AgreementScores(SCORE).compute().values())


def test_labels_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="does not score labels of kind score"):
        RankingScores(SCORE)
    with pytest.raises(ValueError, match="does not score labels of kind single"):
        AgreementScores(LabelSpace.of("ab", "single"))
