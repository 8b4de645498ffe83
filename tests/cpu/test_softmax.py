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
    scores = 10 * torch.randn(4, 7, length, dtype=dtype)
    exact = scores.double().exp()
    found = softmax_(scores.clone())
    assert found.dtype == dtype
    # what is subtracted before `exp` is rounded, which counts for as much as scores are large
    torch.testing.assert_close(found.double(), exact / exact.sum(-1, keepdim=True), rtol=1e-5, atol=0)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_gradient_of_softmax_is_rounded_once(length, dtype):
    torch.manual_seed(0)
    weights, gradient = torch.randn(4, 7, length).softmax(-1).to(dtype), torch.randn(4, 7, length).to(dtype)
    found = through_softmax(gradient, weights)
    exact, of_exact = gradient.double(), weights.double()
    true = of_exact * (exact - (exact * of_exact).sum(-1, keepdim=True))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), true, rtol=0.51 * torch.finfo(dtype).eps, atol=1e-7)
