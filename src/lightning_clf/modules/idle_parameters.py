"""Gradients of zero that a step gives to what it did not use, which are not to move it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn


def gives_zeros(module: LightningModule, *, compiled: bool) -> bool:
    """Whether what a step does not use has gradients of zero, rather than none: from DDP, or a compiler."""
    return compiled or module.trainer.world_size > 1


class IdleParameters:
    """Has AdamW not move by zeros what no step has used.

    DDP gives them, since it waits for the gradients of all parameters; and so does a compiled encoder, to a pooler that
    no task of a step reads.
    """

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._used: set[int] = set()

    def use(self, parameters: Iterable[nn.Parameter]) -> None:
        """Note what a step uses, on all processes."""
        self._now = {id(parameter) for parameter in parameters}
        self._used |= self._now

    def held(self, module: nn.Module) -> Tensor | float:
        """Nothing, of which all that the step does not use is a part: added to its loss, so that DDP waits for none."""
        idle = [one for one in module.parameters() if one.requires_grad and id(one) not in self._now]
        return torch.stack([one.flatten()[0].float() for one in idle]).sum() * 0.0 if idle else 0.0

    def release(self, module: nn.Module) -> None:
        """Take the gradients, which are zeros, of what no step since the last release has used."""
        for parameter in module.parameters():
            if id(parameter) not in self._used:
                parameter.grad = None
        self._used.clear()
