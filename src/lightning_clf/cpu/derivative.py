"""The gradients written by hand have no gradient of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Backward = Callable[..., tuple[Tensor | None, ...]]


def differentiated_once(backward: Backward) -> Backward:
    """Refuses a second derivative.

    PyTorch's own mark lets one pass as zero where what comes in wants no gradient, as that of a sum does.

    Args:
        backward: Of a `torch.autograd.Function`.
    """
    once: Backward = once_differentiable(backward)

    @functools.wraps(backward)
    def refusing(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "create_graph=True, but what a training step on a CPU computes by hand has no second derivative: "
                "compute what needs one in evaluation mode, with trainer.precision 32-true"
            )
        return once(ctx, *gradients)

    return refusing
