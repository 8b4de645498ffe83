"""What is computed by hand refuses a second derivative, rather than taking it to be zero."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_clf.cpu import blocks
from lightning_clf.cpu.attention import attention
from lightning_clf.cpu.blocks import NarrowWeights


@pytest.mark.parametrize("what", ["a part of a layer", "attention"])
def test_a_second_derivative_is_refused(what):
    hidden = torch.randn(2, 3, 4, 8, requires_grad=True)
    if what == "attention":
        output = attention(hidden, hidden, hidden, dropout_p=0.1)
    else:
        output = blocks.intermediate(hidden.flatten(1, 2), nn.Linear(8, 6), NarrowWeights())
    with pytest.raises(RuntimeError, match=r"no second derivative: .* in evaluation mode"):
        torch.autograd.grad(output.sum(), hidden, create_graph=True, retain_graph=True)
    assert torch.autograd.grad(output.sum(), hidden)[0].abs().sum() > 0
