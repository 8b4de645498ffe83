"""AdamW, and which parameters decay."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import AdamW


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices decay, vectors (every bias, every norm's scale) do not.

    Args:
        module: The module whose trainable parameters are grouped.
        weight_decay: The decay of the first group, relative to the learning rate.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trainable if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW (Loshchilov and Hutter 2019) with decay on matrices only.

    A step goes through the weights once, rather than once an operation with a copy each. On a CPU that saves the most,
    since the embedding matrix is most of a small encoder.

    Args:
        module: The module whose trainable parameters move.
        learning_rate: The learning rate.
        weight_decay: The decay of matrices, relative to the learning rate.
    """
    optimizer = AdamW(parameter_groups(module, weight_decay), lr=learning_rate, fused=True)
    # a fused step could take scaled gradients, but what clips them has to see them unscaled; Lightning asks this name
    optimizer._step_supports_amp_scaling = False
    return optimizer
