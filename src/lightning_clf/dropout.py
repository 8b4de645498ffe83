"""Dropout masks that cost a CPU little: sixteen random bits an element, where PyTorch draws a number for each.

PyTorch fills a mask with `bernoulli_`, one element at a time, and on a CPU its attention with dropout takes a path that
does the same (pytorch issue 138199). Here 64 bits are drawn at once and compared in four lanes. What is computed stays
the same but for the probability, which is rounded to a multiple of 2⁻¹⁶: 0.1 becomes 0.100006, and what is kept is
scaled by exactly that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_LEVELS = 2**16
_LOWEST = -(2**15)


def cheap_dropout(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A context in which dropout, within attention too, draws its masks the cheap way, whatever the architecture.

    Args:
        device: Where the network is. Other devices than the CPU have fast masks of their own: nothing changes there.
    """
    return _CheapDropout() if device.type == "cpu" else contextlib.nullcontext()


class _CheapDropout(TorchFunctionMode):
    """Takes the place of `functional.dropout` and of attention with dropout."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if function is functional.dropout:
            return _dropout(*args, **options)
        if function is functional.scaled_dot_product_attention:
            return _attention(*args, **options)
        return function(*args, **options)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or inplace or not _is_between(p):
        return functional.dropout(input, p, training, inplace)
    return input * kept(input, p)


def _is_between(p: float) -> bool:
    return 0 < round(p * _LEVELS) < _LEVELS


def kept(like: Tensor, p: float) -> Tensor:
    """A mask to multiply with: 0 with probability p, and 1 / (1 − p) elsewhere.

    Args:
        like: Gives shape and type.
        p: The probability, strictly between 0 and 1 once rounded to a multiple of 2⁻¹⁶.
    """
    dropped = round(p * _LEVELS)
    drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    lanes = drawn.view(torch.int16)[: like.numel()].view(like.shape)
    return (lanes >= _LOWEST + dropped).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention `[…,T,H]`, which PyTorch computes just so where dropout is on."""
    if is_causal or enable_gqa or not _is_between(dropout_p):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    # float32 from here to the softmax, whatever the precision
    scores = (query @ key.transpose(-2, -1)).float() * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        # no infinity: a row that may attend to nothing, as in padding, must not become NaN
        scores = scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = scores.softmax(-1).to(value.dtype)
    return (weights * kept(weights, dropout_p)) @ value
