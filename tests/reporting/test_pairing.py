"""Two models on the same rows: differences, intervals and p-values against plain counting."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from lightning_clf.reporting.outcomes import Outcomes
from lightning_clf.reporting.pairing import differences, discordant, mcnemar
from tests.reporting.drawn import by_sklearn, outcomes
from tests.reporting.test_resampling import plain_draws


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(0, 0), (1, 0), (3, 3), (10, 2), (2, 10), (40, 61), (300, 420)]
)
def test_mcnemar_is_a_binomial_test(only_first, only_second):
    flips = only_first + only_second
    expected = binomtest(only_first, flips).pvalue if flips else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def pair(kind: str, rows: int = 40) -> tuple[Outcomes, Outcomes]:
    """Two models, of which the second is right more often."""
    first = outcomes(kind, rows)
    better = [
        gold if row % 3 == 0 else given
        for row, (gold, given) in enumerate(zip(first.gold, first.predicted, strict=True))
    ]
    return first, Outcomes(first.labels, first.gold, better)


@pytest.mark.parametrize("kind", ["single", "multi", "words", "score"])
def test_differences_are_those_of_a_loop(kind):
    first, second = pair(kind)
    found = differences(first, second, draws=60, swaps=9)
    loop = []
    for rows in plain_draws(40, 60):
        gold, one, other = ([side[row] for row in rows] for side in (first.gold, first.predicted, second.predicted))
        left, right = by_sklearn(kind, gold, one), by_sklearn(kind, gold, other)
        loop.append({name: right[name] - left[name] for name in left})
    for name, value in by_sklearn(kind, first.gold, first.predicted).items():
        other = by_sklearn(kind, first.gold, second.predicted)[name]
        low, high = np.percentile([each[name] for each in loop], [2.5, 97.5])
        assert found[name][:2] == pytest.approx((value, other), abs=1e-12)
        assert found[name].difference == pytest.approx((other - value, low, high), abs=1e-12)


def test_accuracy_of_one_label_is_tested_exactly():
    first, second = pair("single")
    found = differences(first, second, draws=5, swaps=9)
    only_first, only_second = discordant(first, second)
    assert only_first == 0 < only_second
    assert found["accuracy"].test == "mcnemar"
    assert found["accuracy"].p_value == pytest.approx(binomtest(0, only_second).pvalue)
    assert {each.test for name, each in found.items() if name != "accuracy"} == {"randomisation"}


def test_randomisation_comes_near_all_ways_to_swap():
    first, second = outcomes("single", 10), outcomes("single", 10, seed=1)
    second = Outcomes(first.labels, first.gold, second.predicted)

    def gap(swaps) -> float:
        one = [b if s else a for a, b, s in zip(first.predicted, second.predicted, swaps, strict=True)]
        other = [a if s else b for a, b, s in zip(first.predicted, second.predicted, swaps, strict=True)]
        return abs(
            np.subtract(*(f1_score(first.gold, side, average="macro", zero_division=0) for side in (one, other)))
        )

    flips = [row for row in range(10) if first.predicted[row] != second.predicted[row]]
    assert 1 < len(flips) < 8
    seen, gaps = gap([0] * 10), []
    for chosen in product((0, 1), repeat=len(flips)):
        swaps = [0] * 10
        for row, swap in zip(flips, chosen, strict=True):
            swaps[row] = swap
        gaps.append(gap(swaps))
    exact = np.mean(np.array(gaps) >= seen - 1e-12)
    assert differences(first, second, draws=5, swaps=1999)["f1_macro"].p_value == pytest.approx(exact, abs=0.04)


def test_a_number_that_is_not_defined_has_no_p_value():
    first, second = (outcomes("score", 10, seed) for seed in (0, 1))
    same = [2.5] * 10
    found = differences(*(Outcomes(side.labels, same, side.predicted) for side in (first, second)), draws=5, swaps=9)
    for name in ("pearson", "spearman"):
        assert math.isnan(found[name].difference.value)
        assert math.isnan(found[name].p_value)
    assert found["mse"].p_value > 0


def test_a_model_does_not_differ_from_itself():
    first, _ = pair("tags")
    for each in differences(first, first, draws=20, swaps=19).values():
        assert each.difference == (0, 0, 0)
        assert each.p_value == 1
