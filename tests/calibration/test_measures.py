"""Measures against scikit-learn and their formulas written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from lightning_clf.calibration import measure
from lightning_clf.calibration.measures import risk_coverage_area
from tests.calibration.synthetic import of_many, of_one


def ece(confidences, hits) -> float:
    """Σ |bin| / N · |accuracy − confidence|, over 15 bins."""
    total = 0.0
    for low in range(15):
        inside = [i for i, c in enumerate(confidences) if low <= min(int(c * 15), 14) < low + 1]
        if inside:
            gap = sum(confidences[i] for i in inside) / len(inside) - sum(hits[i] for i in inside) / len(inside)
            total += len(inside) / len(confidences) * abs(gap)
    return total


def test_one_label():
    logits, targets = of_one(500)
    measures = measure(logits, targets)
    p, y = logits.softmax(1).numpy(), targets.numpy()
    assert measures.nll == pytest.approx(log_loss(y, p), abs=1e-9)
    assert measures.brier == pytest.approx(((p - np.eye(4)[y]) ** 2).sum(1).mean(), abs=1e-12)
    confidences, hits = p.max(1), p.argmax(1) == y
    assert measures.ece == pytest.approx(ece(confidences, hits), abs=1e-9)
    order = np.argsort(-confidences)
    wrong = ~hits[order]
    assert measures.aurc == pytest.approx(np.mean([wrong[:k].mean() for k in range(1, 501)]), abs=1e-12)
    bins = measures.bins
    assert int(bins.counts.sum()) == 500
    assert float((bins.counts * (bins.accuracy - bins.confidence).abs()).sum() / 500) == measures.ece


def test_two_labels_have_the_brier_score_of_both():
    logits, targets = of_one(200, classes=2)
    p = logits.softmax(1).numpy()[:, 1]
    assert measure(logits, targets).brier == pytest.approx(2 * brier_score_loss(targets.numpy(), p), abs=1e-12)


def test_any_labels():
    logits, targets = of_many(300)
    measures = measure(logits, targets)
    p, y = logits.sigmoid().numpy(), targets.numpy()
    assert measures.nll == pytest.approx(np.mean([log_loss(y[:, c], p[:, c]) for c in range(3)]), abs=1e-9)
    assert measures.brier == pytest.approx(np.mean([brier_score_loss(y[:, c], p[:, c]) for c in range(3)]), abs=1e-12)
    assert measures.ece == pytest.approx(ece(p.ravel(), y.ravel()), abs=1e-9)
    assert measures.aurc is None


@pytest.mark.parametrize(("hit", "nll", "brier", "gap", "aurc"), [(0, 0, 0, 0, 0), (1, 2e4, 2, 1, 1)])
def test_extreme_logits_are_finite(hit, nll, brier, gap, aurc):
    measures = measure(torch.tensor([[1e4, -1e4]]), torch.tensor([hit]))
    assert measures[:3] == (nll, brier, gap)
    assert measures.aurc == aurc


def test_rows_of_equal_confidence_stand_in_no_order():
    confidences, hits = torch.tensor([0.9, 0.5, 0.5, 0.5]), torch.tensor([True, False, True, True])
    expected = (0 + 1 / 3 / 2 + 2 / 3 / 3 + 1 / 4) / 4
    for order in ([0, 1, 2, 3], [2, 3, 0, 1], [3, 2, 1, 0]):
        assert risk_coverage_area(confidences[order], hits[order]) == pytest.approx(expected, abs=1e-15)
    assert math.isnan(risk_coverage_area(torch.zeros(0), torch.zeros(0, dtype=torch.bool)))
