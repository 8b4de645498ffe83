"""Softmax over rows of a few numbers, as attention has them in short texts."""

from __future__ import annotations

import torch
from torch import Tensor

_SHORT = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Numbers a row that fill a register. Of shorter rows PyTorch takes one number after another, which takes longer than
passes over all rows."""

_LONG = 32
"""Numbers a row below which PyTorch's pass over 16-bit numbers was slower than over numbers widened before."""


def softmax_(scores: Tensor) -> Tensor:
    """The softmax over the last dimension of scores `[…,T]`, which may be written over."""
    if scores.shape[-1] >= _SHORT:
        return scores.softmax(-1)
    weights = scores.sub_(scores.amax(-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(-1, keepdim=True))


def through_softmax(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient of a softmax's scores `[…,T]`, from that of its weights: what exceeds the mean under the weights."""
    dtype = weights.dtype
    if weights.shape[-1] < _LONG:
        gradient, weights = widened(gradient), widened(weights)
    if weights.shape[-1] >= _SHORT:
        return torch._softmax_backward_data(gradient, weights, -1, weights.dtype).to(dtype)
    weighted = gradient * weights
    return weighted.sub_(weights * weighted.sum(-1, keepdim=True)).to(dtype)


def widened(values: Tensor) -> Tensor:
    """In float32, or wider where they are wider."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
