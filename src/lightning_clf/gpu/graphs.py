"""A part of a training step as CUDA graphs: captured once for each shape of its inputs, and replayed.

A step of a small encoder has many kernels, each of which a processor takes longer to launch than the GPU to compute. A
graph launches them all at once (https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
`torch.cuda.make_graphed_callables` does the same for one shape; of many it keeps gradients of all weights for each, and
does not see that activations which await their gradient are overwritten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_clf.gpu.capture import Capture
from lightning_clf.gpu.captured import Awaited, Called, Captured, Inputs, Replay, autocast_of

MAX_SHAPES = 64
"""Shapes that are captured. More are those of batches by tokens, most of which come once; they are computed as ever."""


class StepGraphs:
    """A function of tensors that is replayed, and whose gradients are.

    What it gives and the gradients are those of the function: random numbers are drawn anew by each replay, from the
    same generator. A batch that comes while another's gradient is still awaited is computed as ever, as are shapes
    beyond the first `MAX_SHAPES`. Hooks that keep what a layer gives see what is captured alone, what Python draws by
    chance is drawn once, and gradients are in memory that the next replay overwrites: clone those that are kept.

    Args:
        module: Whose weights the function computes with, which are not to be exchanged for others. What is captured is
            forgotten as they move elsewhere, as others of them have gradients, and as a part is put into another mode.
        compute: Makes one tensor of several, by name.
        capture: What captures work; the default is for CUDA.
    """

    def __init__(
        self, module: nn.Module, compute: Callable[[Inputs], Tensor], capture: Callable[[torch.device], Any] = Capture
    ) -> None:
        self._compute, self._make_capture = compute, capture
        self._called = Called(module, compute)
        self._modules = list(module.modules())
        self._parameters = dict(self._called.named_parameters())
        self._buffers = list(module.buffers())
        self._device = next(iter(self._parameters.values())).device
        self._known: dict[Any, Captured | None] = {}
        self._state: Any = None
        self._capture: Any = None
        self._gradients: dict[str, Tensor] = {}
        self._awaited: weakref.ref[Awaited] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """None, so that a copied network is computed as ever."""

    def __reduce__(self) -> tuple[Any, ...]:
        """None, as for a copy."""
        return type(None), ()

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Compute, with gradients for the weights that have them.

        Raises:
            InputError: If the function cannot be captured.
        """
        awaited = self._awaited() if self._awaited is not None else None
        is_awaited = awaited is not None and not awaited.is_over  # a replay would overwrite what it is computed from
        if is_awaited or next(iter(inputs.values())).device != self._device:
            return self._compute(dict(inputs))
        self._forget_if_changed()
        shape = tuple((name, value.shape, value.dtype) for name, value in inputs.items())
        if shape not in self._known and len(self._known) < MAX_SHAPES:
            self._known[shape] = Captured.of(self._called, inputs, self._gradients, self._capture)
        captured = self._known.get(shape)
        if captured is None:
            return self._compute(dict(inputs))
        captured.take(inputs)
        awaited = Awaited()
        self._awaited = weakref.ref(awaited)
        wanted = [self._parameters[name] for name in captured.names]
        output: Tensor = Replay.apply(captured, awaited, *wanted)  # type: ignore[no-untyped-call]
        return output

    def _forget_if_changed(self) -> None:
        state = (
            [module.training for module in self._modules],
            autocast_of(self._device.type),
            [(parameter.data_ptr(), parameter.requires_grad) for parameter in self._parameters.values()],
            [buffer.data_ptr() for buffer in self._buffers],
        )
        if state != self._state:
            self._known.clear()
            self._state = state
            # anew, since a pool of memory that nothing captured holds any more is gone
            self._capture = self._make_capture(self._device)
            self._gradients = {
                name: torch.empty_like(parameter)
                for name, parameter in self._parameters.items()
                if parameter.requires_grad
            }
