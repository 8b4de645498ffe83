"""Dropout with cheap masks is dropout: the scale, the gradients, and all that is left to PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.dropout import dropout


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_what_is_kept_is_scaled(p):
    inputs = torch.rand(100, 103) + 1
    outputs = dropout(inputs, p)
    dropped = outputs == 0
    assert (p < 0.01) or 0 < dropped.sum() < dropped.numel()
    torch.testing.assert_close(outputs[~dropped], inputs[~dropped] * masks.scale_of(p))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_go_where_values_went(dtype):
    inputs = torch.ones(50, 70, dtype=dtype, requires_grad=True)
    outputs = dropout(inputs, 0.3)
    outputs.sum().backward()
    assert outputs.dtype == dtype
    assert torch.equal(inputs.grad, outputs.detach())
    assert 0 < (outputs == 0).sum() < outputs.numel()


def test_nothing_changes_where_nothing_is_dropped():
    inputs = torch.rand(5, 5)
    assert dropout(inputs, 0.5, training=False) is inputs
    assert torch.equal(dropout(inputs, 0.0), inputs)
    assert torch.equal(dropout(inputs, 1.0), torch.zeros(5, 5))
    assert torch.equal(dropout(torch.ones(0, 3), 0.5), torch.ones(0, 3))
    written = inputs.clone()
    assert dropout(written, 0.5, inplace=True) is written


def test_a_rate_out_of_range_is_pytorchs_to_refuse():
    with pytest.raises(ValueError, match="dropout probability"):
        functional.dropout(torch.ones(3), 1.5)
    with pytest.raises(ValueError, match="dropout probability"):
        dropout(torch.ones(3), 1.5)
