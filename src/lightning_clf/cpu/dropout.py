"""Dropout with cheap masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.derivative import differentiated_once


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Takes the place of `torch.nn.functional.dropout`."""
    if not training or inplace or not masks.is_between(p) or not input.is_floating_point():
        return functional.dropout(input, p, training, inplace)
    dropped: Tensor = _Dropout.apply(input, p)  # type: ignore[no-untyped-call]
    return dropped


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        mask = masks.draw(values.shape, p)
        ctx.save_for_backward(mask)
        ctx.scale = masks.scale_of(p)
        return masks.keep(values, mask).mul_(ctx.scale)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return masks.keep(gradients[0], mask).mul_(ctx.scale), None
