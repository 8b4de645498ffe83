"""The parts of BERT's layers forth and back, without a graph: what they give, and the gradients by hand.

Weights and what goes into products are narrow, as autocast has them; what is summed up over layers, and normalised, is
float32. Beside the letters of other rooms, I is the width between the two linear layers of a feed-forward part. What a
way back needs of the way forth is handed on as a tuple. What is given is never a view, to which hooks may not write.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.attention import Scales, attend, through_attention

NARROW = torch.bfloat16
"""The dtype of products."""

Kept = tuple[Tensor, ...]
"""What a way back needs of the way forth."""


class Linear(NamedTuple):
    """A linear layer of K to L numbers.

    Attributes:
        weight: `[L,K]`, narrow.
        bias: `[L]`, narrow.
    """

    weight: Tensor
    bias: Tensor


class Norm(NamedTuple):
    """A norm over the last dimension.

    Attributes:
        scale: `[H]`, float32.
        shift: `[H]`, float32.
        epsilon: What is added to a variance.
    """

    scale: Tensor
    shift: Tensor
    epsilon: float


class Attending(NamedTuple):
    """How tokens attend to each other.

    Attributes:
        heads: How many heads there are.
        p: The probability of dropout on attention, for which `masks.is_between` holds.
        scale: What scores are multiplied with.
    """

    heads: int
    p: float
    scale: float

    @property
    def scales(self) -> Scales:
        """What scores and kept weights are multiplied with."""
        return Scales(self.scale, masks.scale_of(self.p))


def attend_forth(states: Tensor, to_add: Tensor | None, linear: Linear, attending: Attending) -> tuple[Tensor, Kept]:
    """What each token attends to, before it is projected.

    Args:
        states: `[N,T,H]`, narrow.
        to_add: A mask to add to scores, that broadcasts to `[N,heads,T,T]`.
        linear: Query, key and value, one below the other: `H` to `3·H`.
        attending: How.

    Returns:
        `[N,T,H]`, narrow; and what the way back needs.
    """
    texts, length, hidden_size = states.shape
    heads, flat = attending.heads, states.flatten(0, 1)
    projected = functional.linear(flat, *linear).view(texts, length, 3, heads, -1)
    # [N,T,3,heads,H/heads] to [3,N·heads,T,H/heads], as batched products want them
    parts = projected.permute(2, 0, 3, 1, 4).flatten(1, 2).contiguous()
    shape, scales = torch.Size((texts, heads)), attending.scales
    attended, weights, mask = attend(*parts.unbind(), to_add=to_add, shape=shape, p=attending.p, scales=scales)
    joined = attended.new_empty(texts, length, hidden_size)
    joined.view(texts, length, heads, -1).copy_(attended.view(texts, heads, length, -1).transpose(1, 2))
    return joined, (flat, linear.weight, parts, weights, mask)


def attend_back(gradient: Tensor, kept: Kept, attending: Attending) -> tuple[Tensor, Tensor, Tensor]:
    """From the gradient `[N,T,H]` of what `attend_forth` gave: those of states, weight and bias."""
    flat, weight, parts, weights, mask = kept
    texts, length, _ = gradient.shape
    by_head = gradient.reshape(texts, length, attending.heads, -1).transpose(1, 2).flatten(0, 1)
    queries, keys, values = parts.unbind()
    to_parts = through_attention(by_head, queries, keys, values, weights, mask, scales=attending.scales)
    to_projected = gradient.new_empty((texts, length, 3, attending.heads, by_head.shape[2]))
    for part, to_part in enumerate(to_parts):
        to_projected[:, :, part].copy_(to_part.view(texts, attending.heads, length, -1).transpose(1, 2))
    to_flat, to_weight, to_bias = _through_linear(to_projected.flatten(2).flatten(0, 1), flat, weight)
    return to_flat.view(gradient.shape), to_weight, to_bias


def raise_forth(states: Tensor, linear: Linear) -> tuple[Tensor, Kept]:
    """A linear layer and GELU: `[N,T,H]` to `[N,T,I]`, narrow; and what the way back needs."""
    flat = states.flatten(0, 1)
    raised = functional.linear(flat, *linear)
    return functional.gelu(raised.view(*states.shape[:2], -1)), (flat, linear.weight, raised)


def raise_back(gradient: Tensor, kept: Kept) -> tuple[Tensor, Tensor, Tensor]:
    """From the gradient `[N,T,I]` of what `raise_forth` gave: those of states, weight and bias."""
    flat, weight, raised = kept
    to_raised = torch.ops.aten.gelu_backward(gradient.flatten(0, 1), raised)
    to_flat, to_weight, to_bias = _through_linear(to_raised, flat, weight)
    return to_flat.view(*gradient.shape[:2], -1), to_weight, to_bias


def end_forth(states: Tensor, given: Tensor, linear: Linear, norm: Norm, p: float) -> tuple[Tensor, Kept]:
    """What a part ends with: a linear layer, dropout, the residual and its norm.

    Args:
        states: What the part made, `[N,T,H]` of attention and `[N,T,I]` of a feed-forward part, narrow.
        given: What it made that from, `[N,T,H]`, float32.
        linear: The layer.
        norm: The norm.
        p: The probability of dropout, for which `masks.is_between` holds.

    Returns:
        `[N,T,H]`, float32; and what the way back needs.
    """
    flat = states.flatten(0, 1)
    projected = functional.linear(flat, *linear)
    mask = masks.draw(projected.shape, p)
    added = masks.keep(projected, mask).float().view(given.shape)
    torch.add(given, added, alpha=masks.scale_of(p), out=added)
    normal, mean, spread = torch.native_layer_norm(added, added.shape[-1:], *norm)
    return normal, (flat, linear.weight, mask, added, mean, spread, norm.scale, norm.shift)


def end_back(gradient: Tensor, kept: Kept, p: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """From the gradient `[N,T,H]` of what `end_forth` gave: those of states, given, weight, bias, scale and shift.

    That of given is a tensor that nothing else knows.
    """
    flat, weight, mask, added, mean, spread, scale, shift = kept
    to_given, to_scale, to_shift = torch.ops.aten.native_layer_norm_backward(
        gradient, added, added.shape[-1:], mean, spread, scale, shift, [True, True, True]
    )
    to_projected = masks.keep(to_given.flatten(0, 1).to(NARROW), mask).mul_(masks.scale_of(p))
    to_flat, to_weight, to_bias = _through_linear(to_projected, flat, weight)
    return to_flat.view(*added.shape[:2], -1), to_given, to_weight, to_bias, to_scale, to_shift


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
