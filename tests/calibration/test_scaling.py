"""Temperature and vector scaling against scipy's optimisers, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special  # type: ignore[import-untyped]

from lightning_clf.calibration import fit_temperature, fit_vector, measure
from tests.calibration.synthetic import of_many, of_one


def nll(logits: np.ndarray, targets: np.ndarray) -> float:
    """The summed negative log-likelihood, as it is written in books."""
    if targets.ndim == 1:
        return float(-special.log_softmax(logits, axis=1)[np.arange(len(targets)), targets].sum())
    return float(-(special.log_expit(np.where(targets, logits, -logits))).sum())


@pytest.mark.parametrize("make", [of_one, of_many])
@pytest.mark.parametrize("sharpness", [0.1, 1.0, 2.5, 1e4])
def test_temperature_is_that_of_least_likelihood(make, sharpness):
    logits, targets = make(400, sharpness=sharpness)
    z, y = logits.numpy(), targets.numpy()
    found = fit_temperature(logits, targets)
    bounds = (np.log(sharpness) - 3, np.log(sharpness) + 3)
    best = optimize.minimize_scalar(
        lambda log: nll(z / np.exp(log), y), bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )

    # an optimiser that compares values cannot tell points nearer than the root of a rounding: so refine by the slope
    def slope(log: float) -> float:
        t = np.exp(log)
        if y.ndim == 1:
            return float((special.softmax(z / t, axis=1) * z).sum() - z[np.arange(len(y)), y].sum())
        return float(((special.expit(z / t) - y) * z).sum())

    exact = np.exp(optimize.brentq(slope, best.x - 0.1, best.x + 0.1, xtol=1e-14))
    assert found == pytest.approx(exact, rel=1e-9)
    assert found == pytest.approx(np.exp(best.x), rel=1e-6)
    assert found == pytest.approx(sharpness, rel=0.3)


@pytest.mark.parametrize("make", [of_one, of_many])
@pytest.mark.parametrize(("rows", "sharpness"), [(400, 2.5), (30, 0.3), (5, 1.0), (300, 1e4)])
def test_vector_is_that_of_the_least_penalised_likelihood(make, rows, sharpness):
    logits, targets = make(rows, sharpness=sharpness)
    z, y, classes = logits.numpy(), targets.numpy(), logits.shape[1]

    def penalised(x: np.ndarray) -> float:
        w, b = np.split(x, 2)
        return nll(z * w + b, y) + (((w - 1) ** 2).sum() + (b**2).sum()) / 2

    def gradient(x: np.ndarray) -> np.ndarray:
        w, b = np.split(x, 2)
        scaled = z * w + b
        p = special.softmax(scaled, axis=1) if y.ndim == 1 else special.expit(scaled)
        surplus = p - (np.eye(classes)[y] if y.ndim == 1 else y)
        return np.concatenate([(surplus * z).sum(0) + w - 1, surplus.sum(0) + b])

    w, b = fit_vector(logits, targets)
    found = torch.cat([w, b]).numpy()
    scale = max(1.0, float(np.abs(z).max()))  # a slope in w is of the size of logits
    assert np.abs(gradient(found)).max() <= 1e-7 * scale * rows
    if sharpness < 100:  # beyond, BFGS itself comes no nearer
        start = np.concatenate([np.ones(classes), np.zeros(classes)])
        best = optimize.minimize(penalised, start, jac=gradient, method="BFGS", options={"gtol": 1e-10})
        assert found == pytest.approx(best.x, abs=1e-6)
    assert nll(z * w.numpy() + b.numpy(), y) <= nll(z, y)


numbers = st.floats(-1e4, 1e4, allow_nan=False, width=32)


@st.composite
def wild(draw):
    """A few rows of any logits, with any answers."""
    rows, classes = draw(st.integers(1, 8)), draw(st.integers(2, 4))
    logits = torch.tensor(
        draw(st.lists(st.lists(numbers, min_size=classes, max_size=classes), min_size=rows, max_size=rows))
    )
    if draw(st.booleans()):
        return logits, torch.tensor(draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)))
    flags = st.lists(st.booleans(), min_size=classes, max_size=classes)
    return logits, torch.tensor(draw(st.lists(flags, min_size=rows, max_size=rows)))


@settings(max_examples=150, deadline=None)
@given(wild())
def test_the_likelihood_never_rises_on_the_rows_it_was_fitted_to(data):
    logits, targets = data
    logits = logits.double()
    before = measure(logits, targets).nll
    temperature = fit_temperature(logits, targets)
    if temperature is not None:
        assert 0 < temperature < float("inf")
        assert measure(logits / temperature, targets).nll <= before * (1 + 1e-9) + 1e-12
    w, b = fit_vector(logits, targets)
    assert torch.cat([w, b]).isfinite().all()
    assert measure(logits * w + b, targets).nll <= before * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        ([[2.0, 1.0], [0.0, 3.0]], [0, 1]),  # all right: ever sharper
        ([[2.0, 1.0], [0.0, 3.0]], [1, 0]),  # all wrong: ever flatter
        ([[2.0, 1.0]], [0]),
        ([[1e4, -1e4]], [1]),
        ([[1.0, 1.0], [1.0, 1.0]], [0, 1]),  # ties
        ([[2.0, -1.0]], [[True, False]]),
        ([[2.0, -1.0]], [[False, True]]),
    ],
)
def test_rows_that_do_not_tell_a_temperature(logits, targets):
    assert fit_temperature(torch.tensor(logits), torch.tensor(targets)) is None


def test_rows_that_cancel_tell_no_temperature():
    """Where what is left is rounding, whose sign depends on the order of a sum, the search would never end."""
    half = torch.tensor([[-0.3, 0.3, 0.0, 0.2, 0.1], [-0.2, 0.3, 0.1, 0.0, -0.1]], dtype=torch.float64)
    logits = torch.stack([half[0], half[1], -half[1], -half[0]])
    assert fit_temperature(logits, torch.tensor([2, 1, 1, 2])) is None


def test_a_class_the_rows_lack_is_not_ruled_out():
    logits, targets = of_one(300)
    kept = targets != 3
    w, b = fit_vector(logits[kept], targets[kept])
    assert (logits[kept] * w + b).softmax(1)[:, 3].max() > 0.01
    assert b.abs().max() < 10


def test_no_rows_leave_everything():
    logits, targets = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert fit_temperature(logits, targets) is None
    w, b = fit_vector(logits, targets)
    assert (w.tolist(), b.tolist()) == ([1.0] * 3, [0.0] * 3)
