"""Attention whose gradient is computed by hand in few passes over `[…,T,T]`.

PyTorch has no fast attention with dropout on a CPU: it takes a path of one operation after another, and so does its
gradient. Without dropout it has one, whose gradient in 16 bits is slower than that path unless texts are long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.derivative import differentiated_once
from lightning_clf.cpu.softmax import softmax_, through_softmax, widened

_VERY_LONG = 192
"""Subwords up to which PyTorch's gradient in 16 bits, of attention without dropout, was slower than this one (AMX)."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Takes the place of `torch.nn.functional.scaled_dot_product_attention`: `[N,heads,T,H/heads]` each."""
    learns_mask = attn_mask is not None and attn_mask.requires_grad
    is_plain = query.dim() == 4 and query.shape[:2] == key.shape[:2] == value.shape[:2]
    is_cheaper = masks.is_between(dropout_p) or (dropout_p == 0 and _is_slow_without_dropout(query, key))
    if is_causal or enable_gqa or learns_mask or not is_plain or not is_cheaper:
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if torch.is_autocast_enabled("cpu"):
        narrow = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(narrow), key.to(narrow), value.to(narrow)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    to_add = additive(attn_mask)
    attended: Tensor
    if dropout_p:
        attended = _Attention.apply(query, key, value, to_add, dropout_p, scale)  # type: ignore[no-untyped-call]
    else:
        with torch.autocast("cpu", enabled=False):  # which would narrow the scores' product
            attended = _WholeAttention.apply(query, key, value, to_add, scale)  # type: ignore[no-untyped-call]
    return attended


def _is_slow_without_dropout(query: Tensor, key: Tensor) -> bool:
    is_narrow = computed_in(query).itemsize == 2 and query.dtype != torch.float64  # which autocast leaves alone
    return is_narrow and torch.is_grad_enabled() and query.requires_grad and key.shape[2] <= _VERY_LONG


def computed_in(query: Tensor) -> torch.dtype:
    """What PyTorch computes attention in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype


def additive(mask: Tensor | None) -> Tensor | None:
    """A mask to be added to scores, in float32; of booleans, those that may be attended to are true."""
    if mask is None:
        return None
    # no infinity: a row that may attend to nothing, as in padding, must not become NaN
    lowest = torch.finfo(torch.float32).min
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=torch.float32).masked_fill_(~mask, lowest)
    return mask.float().clamp(min=lowest)


class Scales(NamedTuple):
    """What scores, and weights that were kept, are multiplied with."""

    scores: float
    kept: float


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, *, to_add: Tensor | None, shape: torch.Size, p: float, scales: Scales
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention with dropout, without a graph. Softmax is in float32 or wider.

    Args:
        queries: `[N·heads,T,H/heads]`, as are keys and values.
        keys: See queries.
        values: See queries.
        to_add: A mask to add to scores, that broadcasts to `[N,heads,T,T]`.
        shape: `[N,heads]`.
        p: The probability of dropout, for which `masks.is_between` holds.
        scales: What scores and kept weights are multiplied with.

    Returns:
        What was attended to `[N·heads,T,H/heads]`; and for the gradient weights and mask `[N·heads,T,T]`, the weights
        as narrow as what came in.
    """
    weights = weigh(queries, keys, to_add, shape, scales.scores).to(values.dtype)
    mask = masks.draw(weights.shape, p)
    return _product(masks.keep(weights, mask), values, scales.kept), weights, mask


def weigh(queries: Tensor, keys: Tensor, to_add: Tensor | None, shape: torch.Size, scale: float) -> Tensor:
    """How much each query attends to each key, `[N·heads,T,T]` in float32 or wider; arguments are those of `attend`."""
    scores = widened(_product(queries, keys.transpose(1, 2), scale))
    _add(to_add, scores, shape)
    return softmax_(scores)


def flat(heads: Tensor) -> Tensor:
    """`[N,heads,T,H/heads]` as `[N·heads,T,H/heads]`, side by side in memory as batched products want it."""
    return heads.reshape(-1, *heads.shape[2:])


def through_attention(
    gradient: Tensor, queries: Tensor, keys: Tensor, values: Tensor, weights: Tensor, mask: Tensor, *, scales: Scales
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of queries, keys and values `[N·heads,T,H/heads]`, from that of what `attend` gave."""
    to_values = _product(masks.keep(weights, mask).transpose(1, 2), gradient, scales.kept)
    to_weights = masks.keep(_product(gradient, values.transpose(1, 2), scales.kept), mask)
    to_scores = through_softmax(to_weights, weights)
    to_queries = _product(to_scores, keys, scales.scores)
    to_keys = _product(to_scores.transpose(1, 2), queries, scales.scores)
    return to_queries, to_keys, to_values


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, to_add: Tensor | None, p: float, scale: float
    ) -> Tensor:
        queries, keys, values = flat(query), flat(key), flat(value)
        ctx.scales, ctx.shape = Scales(scale, masks.scale_of(p)), query.shape[:2]
        attended, weights, mask = attend(queries, keys, values, to_add=to_add, shape=ctx.shape, p=p, scales=ctx.scales)
        ctx.save_for_backward(queries, keys, values, weights, mask)
        return attended.view(*ctx.shape, *attended.shape[1:])

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parts = through_attention(flat(gradients[0]), *ctx.saved_tensors, scales=ctx.scales)
        return (*(part.view(*ctx.shape, *part.shape[1:]) for part in parts), None, None, None)


class _WholeAttention(torch.autograd.Function):
    """Without dropout. Scores, weights and their gradients are in float32 or wider, as in PyTorch's own way."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, to_add: Tensor | None, scale: float) -> Tensor:
        queries, keys, values = flat(query), flat(key), flat(value)
        scores = _product(widened(queries), widened(keys).transpose(1, 2), scale)
        _add(to_add, scores, query.shape[:2])
        weights = softmax_(scores)
        ctx.save_for_backward(queries, keys, values, weights)
        ctx.scale, ctx.shape = scale, query.shape[:2]
        attended = torch.bmm(weights.to(values.dtype), values)
        return attended.view(*ctx.shape, *attended.shape[1:])

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, weights = ctx.saved_tensors
        gradient = flat(gradients[0])
        to_values = torch.bmm(weights.to(values.dtype).transpose(1, 2), gradient)
        to_weights = torch.bmm(widened(gradient), widened(values).transpose(1, 2))
        to_scores = through_softmax(to_weights, weights).to(queries.dtype)
        to_queries = _product(to_scores, keys, ctx.scale)
        to_keys = _product(to_scores.transpose(1, 2), queries, ctx.scale)
        shaped = (part.view(*ctx.shape, *part.shape[1:]) for part in (to_queries, to_keys, to_values))
        return (*shaped, None, None)


def _add(mask: Tensor | None, scores: Tensor, shape: torch.Size) -> None:
    """Add a mask of `[N,heads]` to scores `[N·heads,T,T]`."""
    if mask is not None:
        scores.view(*shape, *scores.shape[1:]).add_(mask)


def _product(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """The product of two batches of matrices, scaled before it is rounded."""
    into = one.new_empty(()).expand(one.shape[0], one.shape[1], other.shape[2])
    return torch.baddbmm(into, one, other, beta=0, alpha=scale)
