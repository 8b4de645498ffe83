"""Thresholds against every threshold there is, tried one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from lightning_clf.calibration import Target, fit_thresholds
from tests.calibration.synthetic import of_many
from tests.training import complaint


def scored(probabilities, right, threshold):
    """F1, precision, recall, false alarms and misses at a threshold."""
    chosen = probabilities >= threshold
    scores = [score(right, chosen, zero_division=0) for score in (f1_score, precision_score, recall_score)]
    return (*scores, int((chosen & ~right).sum()), int((~chosen & right).sum()))


def best(probabilities, right, target) -> tuple[float, float]:
    """The best that any threshold makes of one label: by what is kept, and by what is optimised."""
    tried = [scored(probabilities, right, t) for t in sorted({*probabilities.tolist(), 1.1})]
    match target.name:
        case "f1":
            return 0.0, max(one[0] for one in tried)
        case "cost":
            return 0.0, -min(target.costs[0] * one[3] + target.costs[1] * one[4] for one in tried)
    kept, other = (1, 2) if target.name == "precision" else (2, 1)
    enough = [one for one in tried if one[kept] >= target.value - 1e-12]
    if enough:
        return target.value, max(one[other] for one in enough)
    most = max(one[kept] for one in tried)
    return most, max(one[other] for one in tried if one[kept] == most)


TARGETS = [
    Target("f1"),
    Target("precision", 0.9),
    Target("recall", 0.8),
    Target("precision", 1.0),
    Target("cost", costs=(1, 5)),
    Target("cost", costs=(3, 0.5)),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.text)
@pytest.mark.parametrize("digits", [7, 1])  # nearly without ties and with many
def test_no_threshold_is_better(target, digits):
    logits, right = of_many(120)
    probabilities = logits.sigmoid().float().round(decimals=digits)
    fitted = fit_thresholds(probabilities, right, target)
    assert fitted.missing == []
    for label, threshold in enumerate(fitted.values):
        values, truth = probabilities[:, label].numpy(), right[:, label].numpy()
        f1, precision, recall, alarms, missed = scored(values, truth, torch.tensor(threshold).numpy())
        kept, optimum = best(values, truth, target)
        reached = {
            "f1": f1,
            "precision": recall,
            "recall": precision,
            "cost": -(target.costs[0] * alarms + target.costs[1] * missed),
        }
        assert reached[target.name] == pytest.approx(optimum, abs=1e-9)
        if target.name in ("precision", "recall"):
            assert {"precision": precision, "recall": recall}[target.name] >= kept - 1e-9
        assert (label in fitted.short) == (target.name in ("precision", "recall") and kept < target.value - 1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=12), st.sampled_from(TARGETS))
def test_any_rows(rows, target):
    probabilities, right = torch.tensor([[p] for p, _ in rows]), torch.tensor([[r] for _, r in rows])
    fitted = fit_thresholds(probabilities, right, target)
    (threshold,) = fitted.values
    assert 0 <= threshold <= 1
    if not right.any():
        assert (threshold, fitted.missing) == (0.5, [0])
        return
    values, truth = probabilities[:, 0].numpy(), right[:, 0].numpy()
    f1, _, _, alarms, missed = scored(values, truth, torch.tensor(threshold).numpy())
    if target.name == "f1":
        assert f1 == pytest.approx(best(values, truth, target)[1], abs=1e-9)
    if target.name == "cost" and probabilities.max() < 1:
        cost = target.costs[0] * alarms + target.costs[1] * missed
        assert -cost == pytest.approx(best(values, truth, target)[1], abs=1e-9)


def test_a_threshold_lies_amid_what_it_parts():
    fitted = fit_thresholds(torch.tensor([[0.2], [0.4], [0.8]]), torch.tensor([[False], [False], [True]]), Target("f1"))
    assert fitted.values == [pytest.approx(0.6, abs=1e-7)]


@pytest.mark.parametrize("text", ["f1", "precision=0.9", "recall=1", "cost=1:5", "cost=0.5:0"])
def test_targets_are_read_as_they_are_written(text):
    assert Target.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f2",
        "f1=1",
        "precision",
        "precision=0",
        "precision=1.1",
        "recall=x",
        "cost",
        "cost=1",
        "cost=1:2:3",
        "cost=0:0",
        "cost=-1:2",
        "cost=nan:1",
        "cost=inf:1",
    ],
)
def test_targets_that_are_none(text):
    message = complaint(lambda: Target.parse(text))
    assert message.startswith(f"thresholds {text!r} name no target: give f1, precision=0.9")
