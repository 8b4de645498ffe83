"""Softmax over rows of any length is the formula's, and so is its gradient."""

from __future__ import annotations

import pytest
import torch

from lightning_clf.cpu.softmax import softmax_, through_softmax

LENGTHS = [1, 5, 15, 16, 31, 32, 45]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", LENGTHS)
def test_softmax_is_the_formulas(length, dtype):
    torch.manual_seed(0)
    scores = torch.randn(4, 7, length, dtype=dtype)
    exact = scores.double().exp()
    found = softmax_(scores.clone())
    assert found.dtype == dtype
    # double is compared with double, of which either may be off
    near = 16 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), exact / exact.sum(-1, keepdim=True), rtol=near, atol=0)


@pytest.mark.parametrize("length", LENGTHS)
def test_neither_large_scores_nor_masked_ones_give_nan(length):
    lowest = torch.finfo(torch.float32).min
    scores = torch.zeros(3, length)
    scores[0, 0] = 1e30
    scores[1, :] = lowest  # a row that may attend to nothing
    scores[2, length // 2 :] = lowest
    found = softmax_(scores.clone())
    torch.testing.assert_close(found, torch.softmax(scores, -1))
    assert found[0, 0] == 1


def gradients(length, dtype):
    """What `through_softmax` finds, and what the formula gives for the same numbers in float64."""
    torch.manual_seed(0)
    weights, gradient = torch.randn(4, 7, length).softmax(-1).to(dtype), torch.randn(4, 7, length, dtype=dtype)
    found = through_softmax(gradient, weights)
    assert found.dtype == dtype
    exact, of_exact = gradient.double(), weights.double()
    return found.double(), of_exact * (exact - (exact * of_exact).sum(-1, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_gradient_of_softmax_is_rounded_once_in_16_bits(length, dtype):
    found, exact = gradients(length, dtype)
    # the second for float16's numbers below its normal ones
    torch.testing.assert_close(found, exact, rtol=0.51 * torch.finfo(dtype).eps, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_gradient_of_softmax_is_the_formulas(length, dtype):
    found, exact = gradients(length, dtype)
    # where a gradient is near the mean, what is left of their difference is rounded like they are
    torch.testing.assert_close(found, exact, rtol=0, atol=4 * torch.finfo(dtype).eps)
