"""The parts of BERT's layers, each as one function whose gradient is written by hand.

A step of a small encoder is short enough for what surrounds its products to count: each operation of PyTorch leaves a
node in a graph, what autocast narrows is a node too, and query, key and value are three products whose gradients are
summed up afterwards. Here a part of a layer is one node, the three are one product, and dropout's scale and the
residual are applied at once. Weights and what goes into products are narrow, as autocast has them; what is summed up
over layers, and normalised, is float32.

Beside the letters of other rooms, I is the width between the two linear layers of a feed-forward part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.attention import Scales, attend, through_attention

NARROW = torch.bfloat16
"""The dtype of products."""


class NarrowWeights:
    """Weights in `NARROW`, each narrowed once a step, as autocast does, however often it is read."""

    def __init__(self) -> None:
        self._known: dict[tuple[Tensor, ...], Tensor] = {}

    def of(self, *weights: Tensor) -> Tensor:
        """Weights of one shape `[K,…]`, one below the other `[len(weights)·K,…]`."""
        if weights not in self._known:
            first = weights[0].detach()
            joined = first.new_empty((len(weights) * len(first), *first.shape[1:]), dtype=NARROW)
            for place, weight in zip(joined.chunk(len(weights)), weights, strict=True):
                place.copy_(weight.detach())
            self._known[weights] = joined
        return self._known[weights]

    def clear(self) -> None:
        """Forget them, as they are about to change."""
        self._known.clear()


def self_attention(
    hidden: Tensor,
    to_add: Tensor | None,
    linears: Sequence[nn.Linear],
    narrow: NarrowWeights,
    *,
    heads: int,
    p: float,
    scale: float,
) -> Tensor:
    """What each token attends to, before it is projected.

    Args:
        hidden: `[N,T,H]`, float32.
        to_add: A mask to add to scores, that broadcasts to `[N,heads,T,T]`.
        linears: Query, key and value, each `H` to `H`.
        narrow: The step's narrow weights.
        heads: How many heads there are.
        p: The probability of dropout on attention, for which `masks.is_between` holds.
        scale: What scores are multiplied with.

    Returns:
        `[N,T,H]`, narrow.
    """
    weights, biases = [linear.weight for linear in linears], [linear.bias for linear in linears]
    attended: Tensor = _SelfAttention.apply(  # type: ignore[no-untyped-call]
        hidden, to_add, heads, p, scale, narrow.of(*weights), narrow.of(*biases), *weights, *biases
    )
    return attended


def intermediate(hidden: Tensor, linear: nn.Linear, narrow: NarrowWeights) -> Tensor:
    """A linear layer and GELU: `[N,T,H]` in float32 to `[N,T,I]`, narrow."""
    weight, bias = linear.weight, linear.bias
    raised: Tensor = _Intermediate.apply(hidden, narrow.of(weight), narrow.of(bias), weight, bias)  # type: ignore[no-untyped-call]
    return raised


def output(
    hidden: Tensor, given: Tensor, linear: nn.Linear, norm: nn.LayerNorm, narrow: NarrowWeights, *, p: float
) -> Tensor:
    """What a part of a layer ends with: a linear layer, dropout, the residual and its norm.

    Args:
        hidden: What the part made, `[N,T,H]` of attention and `[N,T,I]` of a feed-forward part, narrow.
        given: What it made that from, `[N,T,H]`, float32.
        linear: The layer.
        norm: The norm.
        narrow: The step's narrow weights.
        p: The probability of dropout, for which `masks.is_between` holds.

    Returns:
        `[N,T,H]`, float32.
    """
    weight, bias = linear.weight, linear.bias
    normal: Tensor = _Output.apply(  # type: ignore[no-untyped-call]
        hidden, given, p, norm.eps, narrow.of(weight), narrow.of(bias), weight, bias, norm.weight, norm.bias
    )
    return normal


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        to_add: Tensor | None,
        heads: int,
        p: float,
        scale: float,
        weight: Tensor,
        bias: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        texts, length, _ = hidden.shape
        states = hidden.flatten(0, 1).to(NARROW)
        projected = functional.linear(states, weight, bias).view(texts, length, 3, heads, -1)
        # [N,T,3,heads,H/heads] to [3,N·heads,T,H/heads], as batched products want them
        parts = projected.permute(2, 0, 3, 1, 4).flatten(1, 2).contiguous()
        ctx.scales, ctx.shape = Scales(scale, masks.scale_of(p)), hidden.shape
        shape = torch.Size((texts, heads))
        attended, weights, mask = attend(*parts.unbind(), to_add=to_add, shape=shape, p=p, scales=ctx.scales)
        ctx.save_for_backward(states, weight, parts, weights, mask)
        # a copy, also of one head: what a function gives that is a view may not be written to, as hooks do
        joined = attended.new_empty(hidden.shape)
        joined.view(texts, length, heads, -1).copy_(attended.view(texts, heads, length, -1).transpose(1, 2))
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, parts, weights, mask = ctx.saved_tensors
        texts, length, _ = ctx.shape
        heads = parts.shape[1] // texts
        gradient = gradients[0].reshape(texts, length, heads, -1).transpose(1, 2).flatten(0, 1)
        queries, keys, values = parts.unbind()
        to_parts = through_attention(gradient, queries, keys, values, weights, mask, scales=ctx.scales)
        to_projected = gradient.new_empty((texts, length, 3, heads, gradient.shape[-1]))
        for part, to_part in enumerate(to_parts):
            to_projected[:, :, part].copy_(to_part.view(texts, heads, length, -1).transpose(1, 2))
        to_states, to_weight, to_bias = _through_linear(to_projected.flatten(2).flatten(0, 1), states, weight)
        to_parameters = (*to_weight.chunk(3), *to_bias.chunk(3))
        return to_states.view(ctx.shape), None, None, None, None, None, None, *to_parameters


class _Intermediate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, *parameters: Tensor) -> Tensor:
        states = hidden.flatten(0, 1).to(NARROW)
        raised = functional.linear(states, weight, bias)
        ctx.save_for_backward(states, weight, raised)
        ctx.shape = hidden.shape
        return functional.gelu(raised.view(*hidden.shape[:2], -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, raised = ctx.saved_tensors
        to_raised = torch.ops.aten.gelu_backward(gradients[0].flatten(0, 1), raised)
        to_states, *to_parameters = _through_linear(to_raised, states, weight)
        return to_states.view(ctx.shape), None, None, *to_parameters


class _Output(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        given: Tensor,
        p: float,
        epsilon: float,
        weight: Tensor,
        bias: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        _, _, scale, shift = parameters
        states = hidden.flatten(0, 1)
        projected = functional.linear(states, weight, bias)
        mask = masks.draw(projected.shape, p)
        added = masks.keep(projected, mask).float().view(given.shape)
        torch.add(given, added, alpha=masks.scale_of(p), out=added)
        normal, mean, spread = torch.native_layer_norm(added, given.shape[-1:], scale, shift, epsilon)
        ctx.save_for_backward(states, weight, mask, added, mean, spread, scale, shift)
        ctx.kept = masks.scale_of(p)
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, mask, added, mean, spread, scale, shift = ctx.saved_tensors
        to_given, to_scale, to_shift = torch.ops.aten.native_layer_norm_backward(
            gradients[0], added, added.shape[-1:], mean, spread, scale, shift, [True, True, True]
        )
        to_projected = masks.keep(to_given.flatten(0, 1).to(NARROW), mask).mul_(ctx.kept)
        to_states, to_weight, to_bias = _through_linear(to_projected, states, weight)
        to_hidden = to_states.view(*added.shape[:2], -1)
        return to_hidden, to_given, None, None, None, None, to_weight, to_bias, to_scale, to_shift


def _through_linear(gradient: Tensor, states: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a linear layer of K to L numbers hands back.

    Args:
        gradient: Of what it gave, `[M,L]`.
        states: What it was given, `[M,K]`.
        weight: Its narrow weight `[L,K]`.

    Returns:
        The gradients of what it was given, as narrow as that, and of its weight `[L,K]` and bias `[L]` in float32.
    """
    return gradient @ weight, (gradient.t() @ states).float(), gradient.sum(0).float()
