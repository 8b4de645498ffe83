"""A part of a training step as CUDA graphs: recorded once for each shape of its inputs, and replayed.

A step of a small encoder has a thousand kernels, each of which a processor takes longer to start than the GPU to
compute. A graph starts them all at once (Nguyen et al., https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
`torch.cuda.make_graphed_callables` does the same for one shape; of many it keeps gradients of all weights for each, and
does not see that activations which await their gradient are overwritten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lightning_clf.errors import InputError, reason

MOST = 64
"""Shapes that are recorded. More are those of batches by tokens, most of which come once; they are computed as ever."""
_MASK = "attention_mask"
_WARMUPS = 3  # as PyTorch has it, for libraries that choose or allocate as they are first called

Inputs = dict[str, Tensor]
Work = Callable[[], None]
Recorder = Callable[[Work, Any], Work]


def recorded(work: Work, pool: Any) -> Work:
    """What does some work of CUDA kernels again, which is not done now.

    Args:
        work: What is recorded; it must neither wait for the GPU nor depend on what is there.
        pool: The memory that it works in, of `torch.cuda.graph_pool_handle`.
    """
    graph = torch.cuda.CUDAGraph()
    # threads that load data may allocate page-locked memory meanwhile
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        work()
    return graph.replay


class StepGraphs:
    """A function of tensors that is replayed, and whose gradients are.

    What it gives and the gradients are those of the function: random numbers are drawn anew by each replay, from the
    same generator. A batch that comes while another's gradient is still awaited is computed as ever, as are shapes
    beyond the first `MOST`.

    Args:
        module: Whose weights the function computes with; what is recorded is forgotten as they move elsewhere, or as
            others of them have gradients.
        compute: Makes one tensor of several, by name.
        record: What records work; the default is for CUDA.
    """

    def __init__(self, module: nn.Module, compute: Callable[[Inputs], Tensor], record: Recorder = recorded) -> None:
        self._compute, self._record = compute, record
        self._module = module
        self._parameters = list(module.parameters())
        self._buffers = list(module.buffers())
        self._known: dict[Any, _Recording] = {}
        self._state: Any = None
        self._gradients: list[Tensor] = []
        self._awaited: weakref.ref[_Awaited] | None = None
        self._pool: Any = None

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Compute, with gradients for the weights that have them.

        Raises:
            InputError: If the function cannot be recorded.
        """
        awaited = self._awaited() if self._awaited is not None else None
        if awaited is not None and not awaited.is_over:
            return self._compute(dict(inputs))  # a replay would overwrite what its gradient is computed from
        wanted = [parameter for parameter in self._parameters if parameter.requires_grad]
        self._forget_if_changed(wanted)
        shape = tuple((name, value.shape, value.dtype) for name, value in inputs.items())
        recording = self._known.get(shape)
        if recording is None:
            if len(self._known) >= MOST or not wanted:
                return self._compute(dict(inputs))
            recording = _Recording(self._compute, inputs, wanted, self._gradients, self._record, self._pool)
            self._known[shape] = recording
        recording.take(inputs)
        awaited = _Awaited()
        self._awaited = weakref.ref(awaited)
        output: Tensor = _Replay.apply(recording, awaited, *wanted)  # type: ignore[no-untyped-call]
        return output

    def _forget_if_changed(self, wanted: list[nn.Parameter]) -> None:
        state = (
            self._module.training,
            autocast_of(self._parameters[0].device.type),
            [(parameter.data_ptr(), parameter.requires_grad) for parameter in self._parameters],
            [buffer.data_ptr() for buffer in self._buffers],
        )
        if state != self._state:
            self._known.clear()
            self._state = state
            # of its own, since one that no recording holds any more is gone
            self._pool = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None
            self._gradients = [torch.empty_like(parameter) for parameter in wanted]


class _Awaited:
    """That a gradient is awaited: over with it, or gone with the graph that would have computed it."""

    is_over = False


class _Recording:
    """What a shape's inputs go through: a pass forward, and one back.

    Args:
        compute: The function.
        inputs: Inputs of the shape.
        wanted: The weights whose gradients are computed.
        gradients: Where these are put, whatever the shape.
        record: What records work.
        pool: The memory that it works in.

    Raises:
        InputError: If the function cannot be recorded.
    """

    def __init__(
        self,
        compute: Callable[[Inputs], Tensor],
        inputs: Mapping[str, Tensor],
        wanted: list[nn.Parameter],
        gradients: list[Tensor],
        record: Recorder,
        pool: Any,
    ) -> None:
        self._compute, self._wanted = compute, wanted
        self._inputs = {name: value.clone() for name, value in inputs.items()}
        self._live: Tensor | None = None
        self._device = wanted[0].device
        if _MASK in self._inputs:  # which transformers heeds in a recording, but not in a trial where nothing is padded
            self._inputs[_MASK][..., -1] = 0
        # what is tried draws no random numbers of the run's, which is to end alike wherever it was gone on with
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            given, used = self._try()
            self._output, self._incoming = torch.empty_like(given), torch.zeros_like(given)
            self.gradients = [gradient if is_used else None for gradient, is_used in zip(gradients, used, strict=True)]
            _keep_sums(wanted, gradients)
            try:
                self._forward = record(self._go_forward, pool)
                self._backward = record(self._go_back, pool)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise InputError(
                    f"model.cuda_graphs cannot record this encoder ({reason(error)}): leave it out"
                ) from error
        self._live = None  # whose memory is that of others now

    def _try(self) -> tuple[Tensor, list[bool]]:
        """What is computed, and which weights have a share in it; on a stream aside, as is due before a recording."""
        device = self._device
        if device.type != "cuda":
            return self._tried()
        aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(_WARMUPS):
                tried = self._tried()
        torch.cuda.current_stream(device).wait_stream(aside)
        return tried

    def _tried(self) -> tuple[Tensor, list[bool]]:
        output = self._computed()
        found = self._gradients_of(output, torch.zeros_like(output))
        return output.detach(), [gradient is not None for gradient in found]

    def _computed(self) -> Tensor:
        kind, dtype = self._device.type, autocast_of(self._device.type)
        # casts that autocast keeps would be those of the recording for ever
        with torch.autocast(kind, dtype, enabled=dtype is not None, cache_enabled=False):
            return self._compute(self._inputs)

    def _gradients_of(self, output: Tensor, incoming: Tensor) -> tuple[Tensor | None, ...]:
        # a step's gradients are computed outside of autocast, which in autograd's threads is of float16 whatever it is
        # of here
        with torch.autocast(self._device.type, enabled=False):
            return torch.autograd.grad(output, self._wanted, incoming, allow_unused=True)

    def _go_forward(self) -> None:
        self._live = self._computed()
        self._output.copy_(self._live.detach())

    def _go_back(self) -> None:
        assert self._live is not None
        found = self._gradients_of(self._live, self._incoming)
        targets = [gradient for gradient in self.gradients if gradient is not None]
        torch._foreach_copy_(targets, [gradient for gradient in found if gradient is not None])

    def take(self, inputs: Mapping[str, Tensor]) -> None:
        """Put inputs where they are read."""
        for name, value in inputs.items():
            self._inputs[name].copy_(value, non_blocking=True)

    def forward(self) -> Tensor:
        """Compute what was taken."""
        self._forward()
        return self._output.clone()

    def backward(self, incoming: Tensor) -> list[Tensor | None]:
        """The gradients of the last pass forward, of which a weight's `grad` may be the very memory."""
        _keep_sums(self._wanted, self.gradients)
        self._incoming.copy_(incoming)
        self._backward()
        return [None if gradient is None else gradient.detach() for gradient in self.gradients]


class _Replay(torch.autograd.Function):
    """A replay in the place of what was recorded."""

    @staticmethod
    def forward(ctx: Any, recording: _Recording, awaited: _Awaited, *wanted: Tensor) -> Tensor:
        ctx.recording, ctx.awaited = recording, awaited
        return recording.forward()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        ctx.awaited.is_over = True
        return None, None, *ctx.recording.backward(incoming)


def _keep_sums(parameters: list[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Have gradients of batches before, which others are added to, in memory of their own."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        summed = parameter.grad
        if summed is not None and gradient is not None and summed.data_ptr() == gradient.data_ptr():
            parameter.grad = summed.clone()


def autocast_of(device_type: str) -> torch.dtype | None:
    """What autocast computes in on a device; `None` where it is off."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else None
