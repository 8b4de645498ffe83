"""The gradients written by hand have no gradient of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., tuple[Tensor | None, ...]]


def differentiated_once(backward: Backward) -> Backward:
    """Refuses a second derivative.

    PyTorch's own mark (`once_differentiable`) lets one pass as zero where what comes in wants no gradient, as that of a
    sum does.

    Args:
        backward: Of a `torch.autograd.Function`.
    """

    @functools.wraps(backward)
    def refusing(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "create_graph=True, but what a training step on a CPU computes by hand has no second derivative: "
                "compute what needs one outside of training_step, in evaluation mode, with attn_implementation eager"
            )
        return backward(ctx, *gradients)

    return refusing
