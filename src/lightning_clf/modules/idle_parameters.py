"""What a step that is of some tasks alone needs where others get gradients of zero in it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class IdleParameters:
    """Has DDP, which waits for the gradients of all parameters, wait for none in vain, and AdamW not move by zeros.

    A compiled encoder gives zeros too: to a pooler that no task of a step reads.
    """

    def __init__(self) -> None:
        self._used: set[int] = set()

    def held(self, module: nn.Module, used: Iterable[nn.Parameter]) -> Tensor | float:
        """Nothing, of which every parameter that a step does not use is a part, to be added to its loss.

        Args:
            module: What is trained.
            used: What the step uses of it, on all processes.
        """
        now = {id(parameter) for parameter in used}
        self._used |= now
        idle = [one for one in module.parameters() if one.requires_grad and id(one) not in now]
        return torch.stack([one.flatten()[0].float() for one in idle]).sum() * 0.0 if idle else 0.0

    def release(self, module: nn.Module) -> None:
        """Take the gradients, which are zeros, of what no step since the last release has used."""
        for parameter in module.parameters():
            if id(parameter) not in self._used:
                parameter.grad = None
        self._used.clear()
