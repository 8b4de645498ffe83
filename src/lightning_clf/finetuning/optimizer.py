"""AdamW, and which parameters decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from lightning_clf.errors import InputError


def parameter_groups(
    module: nn.Module | Iterable[nn.Parameter], weight_decay: float, **options: Any
) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices decay, vectors (every bias, every norm's scale) do not.

    Args:
        module: The module whose trainable parameters are grouped, or parameters.
        weight_decay: The decay of the first group, relative to the learning rate.
        **options: What both groups have besides, such as `lr`.
    """
    parameters = module.parameters() if isinstance(module, nn.Module) else module
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    matrices = [parameter for parameter in trainable if parameter.ndim >= 2]
    vectors = [parameter for parameter in trainable if parameter.ndim < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay, **options},
        {"params": vectors, "weight_decay": 0.0, **options},
    ]


def adamw(
    module: nn.Module, learning_rate: float, weight_decay: float, groups: list[dict[str, Any]] | None = None
) -> AdamW:
    """AdamW (Loshchilov and Hutter 2019) with decay on matrices only.

    A step goes through the weights once, rather than once an operation with a copy each. On a CPU that saves the most,
    since the embedding matrix is most of a small encoder.

    Args:
        module: The module whose trainable parameters move.
        learning_rate: The learning rate.
        weight_decay: The decay of matrices, relative to the learning rate.
        groups: The groups of the module's parameters; `None` makes the two of `parameter_groups`.

    Raises:
        InputError: If none of the parameters moves.
    """
    groups = parameter_groups(module, weight_decay) if groups is None else groups
    if not any(group["params"] for group in groups):
        raise InputError(
            "nothing is trainable, as every parameter is frozen: freeze less in model.finetuning, or take a head that "
            "has parameters"
        )
    optimizer = AdamW(groups, lr=learning_rate, fused=True)
    # a fused step could take scaled gradients, but what clips them has to see them unscaled; Lightning asks this name
    optimizer._step_supports_amp_scaling = False
    # what clipping divides gradients by, where the step does that on its way: for one step
    optimizer.grad_scale = None  # type: ignore[attr-defined]
    optimizer.register_step_post_hook(_forget_scale)
    return optimizer


def _forget_scale(optimizer: Optimizer, args: object, kwargs: object) -> None:
    optimizer.grad_scale = None  # type: ignore[attr-defined]
