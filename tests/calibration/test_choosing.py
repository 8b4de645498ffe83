"""What is said of a scaling that tells more of the model than of its probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_clf.calibration import Wanted, choose
from lightning_clf.labels import LabelSpace


@pytest.mark.parametrize(
    ("size", "right", "told"),
    [
        (
            100.0,
            6,
            "the model's scores say next to nothing of what is right; look at the model, or at the labels of the rows",
        ),
        (
            0.01,
            9,
            "the model is far less sure than it is right, as after a short training; a longer one may make more of it",
        ),
        (1.0, 9, None),
        (10.0, 9, None),
    ],
)
def test_a_temperature_far_from_1_is_told(size, right, told):
    """Logits `±size`, of which so many of ten are right: `sigmoid(2 size / T) = right / 10`."""
    logits = torch.tensor([[size, -size]] * 10)
    targets = torch.tensor([0] * right + [1] * (10 - right))
    outcome = choose(LabelSpace(("a", "b"), "single"), logits, targets, Wanted())
    expected = 2 * size / math.log(right / (10 - right))
    assert outcome.decision.scaling.temperature == pytest.approx(expected, rel=1e-6)
    assert outcome.remarks == ([] if told is None else [f"the temperature is {expected:.4g}: {told}"])
