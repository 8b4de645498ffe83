"""The context of a training step on a CPU, for any architecture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from lightning_clf.cpu import masks
from lightning_clf.cpu.attention import attention
from lightning_clf.cpu.dropout import dropout
from lightning_clf.cpu.embedding import RowGradients
from lightning_clf.cpu.layers import Layers


class CheapStep(TorchFunctionMode):
    """A context in which what a forward pass calls, and its gradient, is computed in cheaper ways.

    Dropout and attention with dropout draw cheap masks; what several layers read is narrowed once; BERT-like layers
    are one function each in bfloat16; and a large embedding's gradient is kept in one place. None of it reaches into
    `backward`, where a `TorchFunctionMode` is not heard: a network that checkpoints activations must not be computed in
    it. None of it has a second derivative.

    Args:
        rows: Where the gradients of large embeddings are kept.
        module: What is computed in it, whose BERT-like layers are looked for; `None` looks for none.
    """

    def __init__(self, rows: RowGradients, module: nn.Module | None = None) -> None:
        super().__init__()
        self._layers = None if module is None else Layers(module)
        self._narrowed: tuple[Tensor, int, Tensor] | None = None
        self._seeded = ExitStack()
        self._ways: dict[Callable[..., Any], Callable[..., Any]] = {
            functional.dropout: dropout,
            functional.scaled_dot_product_attention: attention,
            functional.linear: self._linear,
            functional.embedding: rows.embedding,
        }
        self.rows = rows

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._ways.get(function, function)(*args, **(kwargs or {}))

    def __enter__(self) -> Self:
        self._seeded.enter_context(masks.seeded_once())
        super().__enter__()  # type: ignore[no-untyped-call]
        if self._layers is not None:
            self._layers.enter()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._narrowed = None
        if self._layers is not None:
            self._layers.leave()
        super().__exit__(*exception)  # type: ignore[no-untyped-call]
        self._seeded.close()

    def clip_gradients(self, optimizer: Optimizer, most: float) -> None:
        """Scale gradients down to a norm, as `torch.nn.utils.clip_grad_norm_` does, where they exceed it.

        Args:
            optimizer: Whose gradients, before its step. One that `adamw` made scales them itself, on its one way over
                them.
            most: The norm of all of them together that is not exceeded.
        """
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        known = [(parameter.grad, self.rows.rows(parameter)) for parameter in parameters if parameter.grad is not None]
        norm = _norm([gradient if rows is None else gradient[rows] for gradient, rows in known])
        excess = (norm.float() + 1e-6) / most  # in float32, as a fused step wants it
        if excess <= 1:
            return
        if hasattr(optimizer, "grad_scale"):
            optimizer.grad_scale = excess
            return
        for gradient, rows in known:
            if rows is None:
                gradient.div_(excess)
            else:
                gradient.index_copy_(0, rows, gradient[rows].div_(excess))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Takes the place of `functional.linear`: query, key and value are given the same tensor, narrowed for each."""
        # what is narrowed where no gradient is wanted is not for layers whose gradient is
        if torch.is_grad_enabled() and torch.is_autocast_enabled("cpu") and input.dtype == torch.float32:
            input = self._narrow(input, torch.get_autocast_dtype("cpu"))
        return functional.linear(input, weight, bias)

    def _narrow(self, input: Tensor, dtype: torch.dtype) -> Tensor:
        known = self._narrowed
        if known is None or known[0] is not input or known[1] != input._version:
            self._narrowed = known = (input, input._version, input.to(dtype))
        return known[2]


def _norm(gradients: list[Tensor]) -> Tensor:
    """The norm of all of them together."""
    if not gradients or any(gradient.dtype != torch.float32 for gradient in gradients):
        return torch.nn.utils.get_total_norm(gradients)
    # a product with itself goes through memory faster than PyTorch's norm; in 16 bits it would be summed up in them
    flat = [gradient.reshape(-1) for gradient in gradients]
    return torch.stack([one.dot(one) for one in flat]).sum().sqrt()
