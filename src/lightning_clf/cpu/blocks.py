"""The parts of BERT's layers, each as one function whose gradient is written by hand.

A step of a small encoder is short enough for what surrounds its products to count: each operation of PyTorch leaves a
node in a graph, what autocast narrows is a node too, and query, key and value are three products whose gradients are
summed up afterwards. Here a part of a layer is one node, the three are one product, and dropout's scale and the
residual are applied at once. Weights and what goes into products are narrow, as autocast has them; what is summed up
over layers, and normalised, is float32.
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


def self_attention(
    hidden: Tensor, to_add: Tensor | None, linears: Sequence[nn.Linear], *, heads: int, p: float, scale: float
) -> Tensor:
    """What each token attends to, before it is projected.

    Args:
        hidden: `[B,T,H]`, float32.
        to_add: A mask to add to scores, that broadcasts to `[B,heads,T,T]`.
        linears: Query, key and value.
        heads: How many heads there are.
        p: The probability of dropout on attention, for which `masks.is_between` holds.
        scale: What scores are multiplied with.

    Returns:
        `[B,T,H]`, narrow.
    """
    parameters = [tensor for linear in linears for tensor in (linear.weight, linear.bias)]
    attended: Tensor = _SelfAttention.apply(hidden, to_add, heads, p, scale, *parameters)  # type: ignore[no-untyped-call]
    return attended


def intermediate(hidden: Tensor, linear: nn.Linear) -> Tensor:
    """A linear layer and GELU: `[B,T,H]` in float32 to `[B,T,I]`, narrow."""
    raised: Tensor = _Intermediate.apply(hidden, linear.weight, linear.bias)  # type: ignore[no-untyped-call]
    return raised


def output(hidden: Tensor, given: Tensor, linear: nn.Linear, norm: nn.LayerNorm, *, p: float) -> Tensor:
    """What a part of a layer ends with: a linear layer, dropout, the residual and its norm.

    Args:
        hidden: `[B,T,I]`, narrow.
        given: The residual `[B,T,H]`, float32.
        linear: The layer.
        norm: The norm.
        p: The probability of dropout, for which `masks.is_between` holds.

    Returns:
        `[B,T,H]`, float32.
    """
    parameters = (linear.weight, linear.bias, norm.weight, norm.bias)
    normal: Tensor = _Output.apply(hidden, given, p, norm.eps, *parameters)  # type: ignore[no-untyped-call]
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
        *parameters: Tensor,
    ) -> Tensor:
        texts, length, _ = hidden.shape
        states = hidden.flatten(0, 1).to(NARROW)
        weight, bias = _side_by_side(parameters[::2]), _side_by_side(parameters[1::2])
        projected = functional.linear(states, weight, bias).view(texts, length, 3, heads, -1)
        parts = projected.permute(2, 0, 3, 1, 4).flatten(1, 2).contiguous()
        ctx.scales, ctx.shape = Scales(scale, masks.scale_of(p)), hidden.shape
        shape = torch.Size((texts, heads))
        attended, weights, mask = attend(*parts.unbind(), to_add=to_add, shape=shape, p=p, scales=ctx.scales)
        ctx.save_for_backward(states, weight, parts, weights, mask)
        return _joined(attended, texts)

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
        of_each = zip(to_weight.chunk(3), to_bias.chunk(3), strict=True)
        to_parameters = (tensor for pair in of_each for tensor in pair)
        return to_states.view(ctx.shape), None, None, None, None, *to_parameters


class _Intermediate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        states, narrow = hidden.flatten(0, 1).to(NARROW), weight.to(NARROW)
        raised = functional.linear(states, narrow, bias.to(NARROW))
        ctx.save_for_backward(states, narrow, raised)
        ctx.shape = hidden.shape
        return functional.gelu(raised).view(*hidden.shape[:2], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, raised = ctx.saved_tensors
        to_raised = torch.ops.aten.gelu_backward(gradients[0].flatten(0, 1), raised)
        to_states, *to_parameters = _through_linear(to_raised, states, weight)
        return to_states.view(ctx.shape), *to_parameters


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
        scale: Tensor,
        shift: Tensor,
    ) -> Tensor:
        states, narrow = hidden.flatten(0, 1), weight.to(NARROW)
        projected = functional.linear(states, narrow, bias.to(NARROW))
        mask = masks.draw(projected.shape, p)
        added = masks.keep(projected, mask).float().view(given.shape)
        torch.add(given, added, alpha=masks.scale_of(p), out=added)
        normal, mean, spread = torch.native_layer_norm(added, given.shape[-1:], scale, shift, epsilon)
        ctx.save_for_backward(states, narrow, mask, added, mean, spread, scale, shift)
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
        return to_hidden, to_given, None, None, to_weight, to_bias, to_scale, to_shift


def _side_by_side(parameters: tuple[Tensor, ...]) -> Tensor:
    """Parameters of one shape, narrowed, one below the other."""
    joined = torch.empty((len(parameters) * len(parameters[0]), *parameters[0].shape[1:]), dtype=NARROW)
    for place, parameter in zip(joined.chunk(len(parameters)), parameters, strict=True):
        place.copy_(parameter)
    return joined


def _joined(heads: Tensor, texts: int) -> Tensor:
    """`[B·heads,T,H/heads]` as `[B,T,H]`."""
    return heads.view(texts, -1, *heads.shape[1:]).transpose(1, 2).flatten(2)


def _through_linear(gradient: Tensor, states: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of states, as narrow as they are, and of weight and bias in float32."""
    return gradient @ weight, (gradient.t() @ states).float(), gradient.sum(0).float()
