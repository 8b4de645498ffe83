"""Confident learning against its formulas, written plainly."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_clf.reporting.label_errors import find_label_errors


def plainly(probabilities: list[list[float]], labels: list[int]):
    """Thresholds, the confident joint, and the ranked rows with what they are rather."""
    size = len(probabilities[0])
    thresholds = []
    for label in range(size):
        own = [row[label] for row, given_ in zip(probabilities, labels, strict=True) if given_ == label]
        thresholds.append(math.fsum(own) / len(own) if own else math.nan)
    joint, found = [[0] * size for _ in range(size)], []
    for number, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        reached = [other for other in range(size) if row[other] >= thresholds[other]]
        if not reached:
            continue
        confident = max(reached, key=lambda other: row[other])
        joint[label][confident] += 1
        margin = row[label] - max(row[other] for other in range(size) if other != label)
        if confident != label and margin < 0:
            found.append((margin, number, confident))
    return thresholds, joint, sorted(found)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 4), st.data())
def test_against_plain_formulas(size, data):
    # eighths add up without rounding, so that neither way is nearer to a threshold
    row = st.lists(st.integers(0, 8), min_size=size, max_size=size).map(lambda parts: [part / 8 for part in parts])
    probabilities = data.draw(st.lists(row, min_size=1, max_size=16))
    labels = [data.draw(st.integers(0, size - 1)) for _ in probabilities]
    found = find_label_errors(torch.tensor(probabilities), torch.tensor(labels))
    thresholds, joint, ranked = plainly(probabilities, labels)
    assert found.thresholds.tolist() == pytest.approx(thresholds, nan_ok=True)
    assert found.joint.sum() == sum(map(sum, joint))
    assert found.margins.tolist() == [margin for margin, *_ in ranked]
    assert found.rows.tolist() == [number for _, number, _ in ranked]
    assert [probabilities[r][s] for r, s in zip(found.rows.tolist(), found.suggested.tolist(), strict=True)] == [
        probabilities[number][confident] for _, number, confident in ranked
    ]


def test_labels_that_were_changed_are_found():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (300,), generator=generator)
    probabilities = (torch.randn(300, 3, generator=generator) + 9 * torch.nn.functional.one_hot(truth, 3)).softmax(1)
    labels = truth.clone()
    labels[:15] = (labels[:15] + 1) % 3
    found = find_label_errors(probabilities, labels)
    assert sorted(found.rows.tolist()) == list(range(15))
    assert found.suggested.equal(truth[found.rows])
