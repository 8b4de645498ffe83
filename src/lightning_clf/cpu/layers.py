"""Which layers of an encoder, and which of their parts, are computed by `blocks.py`, and when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.cpu import blocks, passes
from lightning_clf.cpu.attention import additive
from lightning_clf.cpu.blocks import Ending, NarrowWeights
from lightning_clf.cpu.passes import Attending
from lightning_clf.cpu.stock import (
    has_hooks,
    is_own_code,
    is_stock_attention,
    is_stock_below,
    is_stock_intermediate,
    is_stock_layer,
    is_stock_output,
    is_watched_at_all,
)


class Layers:
    """The BERT-like layers within a module, which `blocks.py` computes in training while this is entered.

    A layer is one function. Where a part of it is not as it came, or has hooks, each part is a function by itself, and
    hooks are given what they would be given; but for those of the old kind (`register_backward_hook`), which look at
    the last operation within a module. A part is computed by its own code

    - in evaluation, and in other precisions than bfloat16 by autocast;
    - where a weight of it is frozen, or what it reads wants no gradient;
    - where a layer of it is not PyTorch's own, as adapters put others in its place, or has hooks;
    - where code was put into the place of its own, on the class too;
    - without dropout, or with another activation than GELU;
    - with attention that is not `transformers`' `sdpa`, is causal, goes on from a cache, lost heads, or has a mask that
      learns;
    - where PyTorch's own layers and functions were exchanged, or all modules have hooks.

    Args:
        module: What they are looked for in.
    """

    def __init__(self, module: nn.Module) -> None:
        ways = {name: way for model_type in BERT_LIKE for name, way in _ways_of(model_type).items()}
        self._narrow = NarrowWeights()
        self._replaced = [
            _Replaced(part, functools.partial(way, part, self._narrow), type(part), type(part).forward)
            for part in module.modules()
            if (way := ways.get(_name(type(part))))
            and is_own_code(type(part).forward, type(part).__module__)
            and all(hasattr(part, name) for name in _READ[way])
        ]

    def enter(self) -> None:
        """From now on, they are computed by `blocks.py` where that is possible."""
        if not is_stock_below():
            return
        self._narrow.open()
        for part, way, kind, own in self._replaced:
            if type(part) is kind and kind.forward is own:
                # what another has put in the place of a part's own code is left there
                part.__dict__.setdefault("forward", way)

    def leave(self) -> None:
        """They are computed by their own code again."""
        self._narrow.close()
        for part, way, *_ in self._replaced:
            if part.__dict__.get("forward") is way:
                del part.__dict__["forward"]


class _Replaced(NamedTuple):
    """A layer or a part, what is put in the place of its own code, and the class and the code it came with."""

    part: nn.Module
    way: Callable[..., Any]
    kind: type[nn.Module]
    own: Callable[..., Any]


def _layer(
    layer: Any,
    narrow: NarrowWeights,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *rest: Any,
    **options: Any,
) -> Any:
    with torch._C.DisableTorchFunction():  # what is looked at here needs no detour over the step's context
        is_step = all(another is None for another in rest) and _is_narrow_step(narrow, hidden_states, torch.float32)
        if is_step and is_stock_layer(layer):
            given, middle = layer.attention.self, layer.attention.output
            raising, end = layer.intermediate, layer.output
            is_ours = (
                _is_untouched(given, _self_attention)
                and _is_untouched(middle, _output)
                and _is_untouched(raising, _intermediate)
                and _is_untouched(end, _output)
                and is_stock_attention(given, attention_mask, options)
                and is_stock_intermediate(raising)
                and is_stock_output(middle)
                and is_stock_output(end)
            )
            if is_ours:
                to_add, linears = additive(attention_mask), (given.query, given.key, given.value, raising.dense)
                endings = (_ending(middle), _ending(end))
                return blocks.layer(hidden_states, to_add, linears, endings, narrow, _attending(given))
    return type(layer).forward(layer, hidden_states, attention_mask, *rest, **options)


def _self_attention(
    part: Any,
    narrow: NarrowWeights,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *rest: Any,
    **options: Any,
) -> Any:
    with torch._C.DisableTorchFunction():
        is_ours = not rest and _is_narrow_step(narrow, hidden_states, torch.float32)
        if is_ours and is_stock_attention(part, attention_mask, options):
            linears, to_add = (part.query, part.key, part.value), additive(attention_mask)
            return blocks.self_attention(hidden_states, to_add, linears, narrow, _attending(part)), None
    return type(part).forward(part, hidden_states, attention_mask, *rest, **options)


def _intermediate(part: Any, narrow: NarrowWeights, hidden_states: Tensor, *rest: Any, **options: Any) -> Any:
    with torch._C.DisableTorchFunction():
        is_step = not rest and not options and _is_narrow_step(narrow, hidden_states, torch.float32)
        if is_step and is_stock_intermediate(part):
            return blocks.intermediate(hidden_states, part.dense, narrow)
    return type(part).forward(part, hidden_states, *rest, **options)


def _output(
    part: Any, narrow: NarrowWeights, hidden_states: Tensor, input_tensor: Tensor, *rest: Any, **options: Any
) -> Any:
    with torch._C.DisableTorchFunction():
        is_step = not rest and not options and _is_narrow_step(narrow, hidden_states, passes.NARROW)
        is_residual = (
            input_tensor.dtype == torch.float32
            and input_tensor.requires_grad
            and input_tensor.shape[:-1] == hidden_states.shape[:-1]
        )
        if is_step and is_residual and is_stock_output(part):
            return blocks.output(hidden_states, input_tensor, _ending(part), narrow)
    return type(part).forward(part, hidden_states, input_tensor, *rest, **options)


_WAYS: dict[str, Callable[..., Any]] = {
    "Layer": _layer,
    "SelfAttention": _self_attention,
    "SelfOutput": _output,
    "Intermediate": _intermediate,
    "Output": _output,
}
_READ: dict[Callable[..., Any], tuple[str, ...]] = {
    _layer: ("attention", "intermediate", "output", "is_decoder", "chunk_size_feed_forward", "feed_forward_chunk"),
    _self_attention: (
        *("query", "key", "value", "dropout", "config"),
        *("num_attention_heads", "attention_head_size", "scaling"),
    ),
    _intermediate: ("dense", "intermediate_act_fn"),
    _output: ("dense", "dropout", "LayerNorm"),
}
"""What a version of `transformers` may no longer have, which then computes by its own code."""


def _ways_of(model_type: str) -> dict[str, Callable[..., Any]]:
    """How the layers of an architecture and their parts are computed, by the full names of their classes."""
    architecture, prefix = model_type.replace("-", "_"), CONFIG_MAPPING[model_type].__name__.removesuffix("Config")
    module = f"transformers.models.{architecture}.modeling_{architecture}"
    return {f"{module}.{prefix}{part}": way for part, way in _WAYS.items()}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _attending(part: Any) -> Attending:
    return Attending(part.num_attention_heads, part.dropout.p, part.scaling)


def _ending(part: Any) -> Ending:
    return Ending(part.dense, part.LayerNorm, part.dropout.p)


def _is_untouched(part: nn.Module, way: Callable[..., Any]) -> bool:
    """Whether a part of a layer has no hooks, and its own code is replaced by this way."""
    return getattr(part.__dict__.get("forward"), "func", None) is way and not has_hooks(part)


def _is_narrow_step(narrow: NarrowWeights, states: Tensor, dtype: torch.dtype) -> bool:
    """Whether this is within a step in bfloat16, on states `[N,T,…]` of a dtype whose gradient is wanted."""
    return (
        narrow.is_open  # which those of a copy made amid a step are not
        and not is_watched_at_all()
        and states.dtype == dtype
        and states.dim() == 3
        and states.requires_grad
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == passes.NARROW
    )
