"""Thresholds of a cascade, against every row counted by hand for every threshold."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.calibration import weigh
from lightning_clf.cascade import Cascade
from tests.calibration.synthetic import CASCADE

ROW = st.tuples(st.integers(0, 12).map(lambda value: value / 12), st.booleans(), st.booleans())
PRICE = st.fractions(0, 3, max_denominator=1000)


def weighed(rows):
    confidences, hits, others = zip(*rows, strict=True)
    return weigh(torch.tensor(confidences), torch.tensor(hits), torch.tensor(others))


def by_hand(rows, threshold):
    """How many rows are asked about, and how many are answered wrongly."""
    asked = [confidence <= threshold for confidence, _, _ in rows]
    right = [other if ask else hit for ask, (_, hit, other) in zip(asked, rows, strict=True)]
    return sum(asked), right.count(False)


@given(st.lists(ROW, min_size=1, max_size=30), PRICE, PRICE.filter(bool))
def test_every_threshold_counts_what_is_counted_by_hand_and_the_cheapest_is_the_cheapest(rows, call, error):
    rows = [(float(torch.tensor(confidence)), hit, other) for confidence, hit, other in rows]  # as float32 has them
    found = weighed(rows)
    values = found.values.tolist()
    assert values == sorted(set(values))
    assert [*zip(found.asked.tolist(), found.wrong.tolist(), strict=True)] == [by_hand(rows, value) for value in values]
    # there is a threshold for every way in which one divides the rows
    ways = {frozenset(p for p, row in enumerate(rows) if row[0] <= value) for value in (-1, *(row[0] for row in rows))}
    assert {len(way) for way in ways} - {0} == set(found.asked.tolist()) - {0}

    def cost(value):
        asked, wrong = by_hand(rows, value)
        return call * asked + error * wrong

    least = min(map(cost, values))
    expected = next(value for value in values if cost(value) == least)  # the first asks least
    assert values[found.cheapest(float(call), float(error))] == expected
    costs = [float(Fraction(cost(value), len(rows))) for value in values]
    assert found.costs(float(call), float(error)).tolist() == pytest.approx(costs, rel=1e-12)


def test_thresholds_lie_between_what_was_seen():
    found = weighed([(0.5, False, True), (0.75, True, False), (0.75, True, True)])
    assert found.values.tolist() == [0, 0.625, 1]
    assert (found.asked.tolist(), found.wrong.tolist(), found.rows) == ([0, 1, 3], [1, 0, 1], 3)
    assert found.costs(0.5, 3).tolist() == pytest.approx([1, 0.5 / 3, 1.5 / 3 + 1])
    assert found.cheapest(0.5, 3) == 1
    assert found.cheapest(4, 3) == 0
    assert found.cheapest(3, 3) == 0  # a call that saves what it costs is not made


def test_free_calls_are_made_as_long_as_they_are_better():
    rows = [(number / 100, number % 7 != 0, True) for number in range(1, 100)]
    found = weighed(rows)
    assert found.values[found.cheapest(0, 1)] == pytest.approx(0.985)  # the last that is wrong is the 98th
    assert found.wrong[found.cheapest(0, 1)] == 0


def test_ties_are_not_decided_by_rounding():
    # fifty calls at 0.002 save one error at 0.1, of which neither is a sum of powers of two
    rows = [(0.25, number > 0, True) for number in range(50)] + [(0.75, True, True)]
    assert weighed(rows).cheapest(0.002, 0.1) == 0
    assert weighed([*rows, (0.25, False, True)]).cheapest(0.002, 0.1) == 1


def test_a_policy_asks_and_comes_back_from_primitives():
    assert [CASCADE.asks(value) for value in (0.4, 0.5, 0.5001)] == [True, True, False]
    assert CASCADE.cost(0.25, 0.1) == pytest.approx(0.0105)
    assert Cascade.from_dict(CASCADE.to_dict(), "the cascade") == CASCADE


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("threshold", 1.5, "threshold is 1.5, which it cannot be"),
        ("price_per_call", -1, "price_per_call is -1, which it cannot be"),
        ("price_per_error", float("nan"), "price_per_error is nan, which it cannot be"),
        ("endpoint", 1, "endpoint is 1, not a string"),
        ("prompt", None, "prompt is None, not a string"),
        ("curve", {}, "the curve of the cascade holds nothing, not thresholds, asked, risk"),
        ("curve", {"thresholds": [0], "asked": [], "risk": [1]}, "asked is (), not as many numbers"),
        ("curve", {"thresholds": [0], "asked": [2], "risk": [1]}, "asked is 2, which it cannot be"),
        ("key", "secret", "the cascade holds threshold, endpoint, language_model"),
    ],
)
def test_what_is_no_policy_is_refused(key, value, said):
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(").replace(")", r"\)")):
        Cascade.from_dict(CASCADE.to_dict() | {key: value}, "the cascade")
