"""What a risk, a coverage and a level promise is kept, on data whose truth is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats  # type: ignore[import-untyped]

from lightning_clf.calibration import conformal_quantile, threshold_for_coverage, threshold_for_risk
from lightning_clf.calibration.abstention import binomial_cdf
from lightning_clf.decision import LabelSets
from tests.calibration.synthetic import of_one


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_label_sets_hold_the_right_label_as_often_as_they_say(level):
    logits, targets = of_one(20_000)
    probabilities = logits.softmax(1)
    covered = []
    for seed in range(20):
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
        known, new = order[:2000], order[2000:]
        sets = LabelSets(level, conformal_quantile(probabilities[known], targets[known], level))
        covered.append(float(sets.members(probabilities[new]).gather(1, targets[new, None]).double().mean()))
    assert sum(covered) / 20 == pytest.approx(level, abs=0.01)


def test_the_quantile_is_that_of_the_finite_sample():
    right = torch.tensor([0.9, 0.1, 0.5, 0.7, 0.3, 0.2, 0.8, 0.6, 0.4])  # nine rows
    probabilities, targets = torch.stack([right, 1 - right], 1), torch.zeros(9, dtype=torch.int64)
    values = sorted((1 - right.double()).tolist())
    for level, place in ((0.5, 5), (0.75, 8), (0.85, 9), (0.9, 9), (0.11, 2), (0.1, 1)):
        assert place == math.ceil(10 * level)
        assert conformal_quantile(probabilities, targets, level) == values[place - 1]
    assert conformal_quantile(probabilities, targets, 0.91) == 1.0  # of nine rows nobody can tell


@pytest.mark.parametrize("probability", [1.0, 0.0, 0.5, 1e-7])
def test_ties_are_in_the_set(probability):
    probabilities = torch.full((50, 2), probability)
    targets = torch.zeros(50, dtype=torch.int64)
    sets = LabelSets(0.9, conformal_quantile(probabilities, targets, 0.9))
    assert sets.members(probabilities).all()


@pytest.mark.parametrize(
    ("most", "count", "share"), [(0, 117, 0.05), (3, 200, 0.05), (700, 5000, 0.15), (0, 0, 0.1), (9, 9, 0.5)]
)
def test_binomial_is_scipys(most, count, share):
    assert binomial_cdf(most, count, share) == pytest.approx(stats.binom.cdf(most, count, share), rel=1e-9)


def test_the_risk_is_that_of_clopper_and_pearson():
    logits, targets = of_one(3000)
    confidences, hits = logits.softmax(1).max(1).values, logits.argmax(1) == targets
    threshold = threshold_for_risk(confidences, hits, 0.1)

    def bound(count: int) -> float:  # the upper limit of Clopper and Pearson, as beta quantile
        order = confidences.argsort(descending=True)[:count]
        wrong = int((~hits[order]).sum())
        return float(stats.beta.ppf(1 - 0.05 / 20, wrong + 1, count - wrong)) if wrong < count else 1.0

    counts = [3000 * step // 20 for step in range(20, 0, -1)]
    best = next(count for count in counts if bound(count) <= 0.1)
    assert int((confidences > threshold).sum()) == best < 3000


def test_the_risk_is_kept_in_the_long_run():
    logits, targets = of_one(40_000)
    confidences, hits = logits.softmax(1).max(1).values, logits.argmax(1) == targets
    broken = 0
    for seed in range(100):
        known = torch.randperm(len(hits), generator=torch.Generator().manual_seed(seed))[:600]
        threshold = threshold_for_risk(confidences[known], hits[known], 0.12)
        if threshold is not None:
            broken += float((~hits[confidences > threshold]).double().mean()) > 0.12
    assert broken <= 5


@pytest.mark.parametrize(("rows", "answer"), [(116, None), (117, 0.0)])
def test_how_many_right_answers_it_takes(rows, answer):
    assert math.ceil(math.log(0.05 / 20) / math.log(0.95)) == 117
    confidences = torch.linspace(0.5, 0.9, rows)
    assert threshold_for_risk(confidences, torch.ones(rows, dtype=torch.bool), 0.05) == answer


def test_no_confidence_keeps_a_risk_where_all_is_wrong_or_there_is_one_row():
    assert threshold_for_risk(torch.rand(500), torch.zeros(500, dtype=torch.bool), 0.2) is None
    assert threshold_for_risk(torch.tensor([0.9]), torch.tensor([True]), 0.2) is None
    assert threshold_for_risk(torch.ones(500), torch.arange(500) % 2 == 0, 0.2) is None  # all alike


@pytest.mark.parametrize("coverage", [0.01, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("values", [10, 1000])  # with ties and nearly without
def test_at_least_so_many_are_answered_and_no_more_than_ties_make(coverage, values):
    confidences = torch.randint(1, values, (997,), generator=torch.Generator().manual_seed(0)).float() / values
    threshold = threshold_for_coverage(confidences, coverage)
    answered = confidences > threshold
    assert float(answered.double().mean()) >= coverage
    lowest = confidences[answered].min()
    assert float((confidences > lowest).double().mean()) < coverage


def test_one_row_is_answered():
    assert threshold_for_coverage(torch.tensor([0.3]), 0.9) == 0.0
