"""What the inputs of one shape go through: a pass forward and one back, captured, with the weights that take part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from lightning_clf.errors import InputError, reason
from lightning_clf.gpu.capture import Work

_MASK = "attention_mask"
_WARMUPS = 3  # as PyTorch has it, for libraries that choose or allocate as they are first called

Inputs = dict[str, Tensor]


class Called(nn.Module):
    """A function as the forward pass of a module, for which others can stand for its weights."""

    def __init__(self, module: nn.Module, compute: Callable[[Inputs], Tensor]) -> None:
        super().__init__()
        self.module, self._compute = module, compute

    def forward(self, inputs: Inputs) -> Tensor:
        """Compute."""
        return self._compute(inputs)


class Awaited:
    """That a gradient is awaited: over with it, or gone with the graph that would have computed it."""

    is_over = False


class Captured:
    """What a shape's inputs go through: a pass forward, and one back.

    Attributes:
        names: The weights that have gradients of it, by name.
    """

    names: list[str]
    _output: Tensor
    _incoming: Tensor
    _gradients: list[Tensor]
    _forward: Work
    _backward: Work

    def __init__(self, called: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        self._called = called
        self._inputs = {name: value.clone() for name, value in inputs.items()}
        # over the same memory: a weight's own node in a graph of before would tie the capture to that graph's stream,
        # and its hooks would see each gradient twice
        self._leaves = {
            name: parameter.detach().requires_grad_(parameter.requires_grad)
            for name, parameter in called.named_parameters()
        }
        self._device = next(iter(self._leaves.values())).device
        self._live: Tensor | None = None

    @classmethod
    def of(
        cls, called: nn.Module, inputs: Mapping[str, Tensor], gradients: Mapping[str, Tensor], capture: Any
    ) -> Captured | None:
        """Capture the passes.

        Args:
            called: The function, as a module.
            inputs: Inputs of the shape.
            gradients: Where gradients are put, by the names of weights, whatever the shape.
            capture: What captures work.

        Returns:
            `None` where no weight has a gradient of it.

        Raises:
            InputError: If the function cannot be captured.
        """
        made = cls(called, inputs)
        if _MASK in made._inputs:  # which transformers heeds in a capture, but not in a warm-up where nothing is padded
            made._inputs[_MASK][..., -1] = 0
        # warming up draws no random numbers of the run's, which is to end alike wherever it was gone on with
        with torch.random.fork_rng([made._device] if made._device.type == "cuda" else []):
            with capture.aside():
                for _ in range(_WARMUPS):
                    output = made._warm_up()
            if output is None:
                return None
            made._output, made._incoming = torch.empty_like(output), torch.zeros_like(output)
            made._gradients = [gradients[name] for name in made.names]
            try:
                made._forward, made._backward = capture(made._go_forward), capture(made._go_back)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise InputError(
                    f"model.cuda_graphs cannot capture this encoder ({reason(error)}): leave it out"
                ) from error
        made._live = None  # whose memory is that of others now
        return made

    def _warm_up(self) -> Tensor | None:
        """Compute once, and see which weights have gradients of it; `None` where none has."""
        output = self._computed()
        if not output.requires_grad:
            return None
        self.names = [name for name, leaf in self._leaves.items() if leaf.requires_grad]
        found = self._gradients_of(output, torch.zeros_like(output))
        self.names = [name for name, gradient in zip(self.names, found, strict=True) if gradient is not None]
        return output.detach()

    def _computed(self) -> Tensor:
        kind, dtype = self._device.type, autocast_of(self._device.type)
        # casts that autocast keeps would be those of the capture for ever
        with torch.autocast(kind, dtype, enabled=dtype is not None, cache_enabled=False):
            output: Tensor = functional_call(self._called, self._leaves, (self._inputs,))
        return output

    def _gradients_of(self, output: Tensor, incoming: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [self._leaves[name] for name in self.names]
        # a step's gradients are computed outside of autocast, which in autograd's threads is of float16 whatever it is
        # of here
        with torch.autocast(self._device.type, enabled=False):
            return torch.autograd.grad(output, leaves, incoming, allow_unused=True)

    def _go_forward(self) -> None:
        self._live = self._computed()
        self._output.copy_(self._live.detach())

    def _go_back(self) -> None:
        assert self._live is not None
        found = self._gradients_of(self._live, self._incoming)
        torch._foreach_copy_(self._gradients, [gradient for gradient in found if gradient is not None])

    def take(self, inputs: Mapping[str, Tensor]) -> None:
        """Put inputs where they are read."""
        for name, value in inputs.items():
            self._inputs[name].copy_(value, non_blocking=True)

    def forward(self) -> Tensor:
        """Compute what was taken."""
        self._forward()
        return self._output.clone()

    def backward(self, incoming: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the last pass forward, of which a weight's `grad` may be the very memory."""
        for parameter, gradient in zip(parameters, self._gradients, strict=True):
            summed = parameter.grad
            if summed is not None and summed.data_ptr() == gradient.data_ptr():
                parameter.grad = summed.clone()  # of batches before, which this one is added to
        self._incoming.copy_(incoming)
        self._backward()
        return [gradient.detach() for gradient in self._gradients]


class Replay(torch.autograd.Function):
    """A replay in the place of what was captured."""

    @staticmethod
    def forward(ctx: Any, captured: Captured, awaited: Awaited, *parameters: Tensor) -> Tensor:
        """Replay the pass forward."""
        ctx.captured, ctx.awaited, ctx.parameters = captured, awaited, parameters
        return captured.forward()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        """Replay the pass back.

        Raises:
            InputError: If that was done before: what it computes from is overwritten.
        """
        if ctx.awaited.is_over:
            raise InputError(
                "model.cuda_graphs replays a batch's gradients once, but they are asked for again: leave it out, or "
                "call backward once"
            )
        ctx.awaited.is_over = True
        return None, None, *ctx.captured.backward(incoming, ctx.parameters)


def autocast_of(device_type: str) -> torch.dtype | None:
    """What autocast computes in on a device; `None` where it is off."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else None
