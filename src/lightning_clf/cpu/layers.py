"""Which parts of an encoder are computed by `blocks.py`, and when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as modules
from transformers import CONFIG_MAPPING
from transformers.activations import GELUActivation

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.cpu import blocks, masks
from lightning_clf.cpu.attention import additive
from lightning_clf.cpu.blocks import NarrowWeights

_UNHEARD = frozenset({"output_attentions", "output_hidden_states", "return_dict", "use_cache"})
"""What comes down to attention by keyword and is not for `sdpa`."""


class Layers:
    """The parts of BERT-like layers within a module, which `blocks.py` computes in training while this is entered.

    A part keeps its own hooks. It is computed by its own code all the same

    - in evaluation, and in other precisions than bfloat16 by autocast;
    - where a weight of it is frozen, or what it reads wants no gradient;
    - where a layer of it is not PyTorch's own, as adapters put others in its place, or has hooks;
    - without dropout, or with another activation than GELU;
    - with attention that is not `sdpa`, is causal, goes on from a cache, or has a mask that learns.

    Args:
        module: What they are looked for in.
    """

    def __init__(self, module: nn.Module) -> None:
        ways = {name: way for model_type in BERT_LIKE for name, way in _ways_of(model_type).items()}
        self._narrow = NarrowWeights()
        named = [(part, ways.get(_name(type(part)))) for part in module.modules()]
        self._ways = [
            (part, functools.partial(way, part, self._narrow))
            for part, way in named
            if way is not None and type(part).forward.__module__ == type(part).__module__  # not one put into the class
        ]

    def enter(self) -> None:
        """From now on, they are computed by `blocks.py` where that is possible."""
        for part, way in self._ways:
            # what another has put in the place of a part's own code is left there
            part.__dict__.setdefault("forward", way)

    def leave(self) -> None:
        """They are computed by their own code again."""
        self._narrow.clear()
        for part, way in self._ways:
            if part.__dict__.get("forward") is way:
                del part.__dict__["forward"]


def _self_attention(
    part: Any,
    narrow: NarrowWeights,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *rest: Any,
    **options: Any,
) -> Any:
    with torch._C.DisableTorchFunction():  # what is looked at here needs no detour over the step's context
        linears, mask = (part.query, part.key, part.value), attention_mask
        is_ours = (
            _is_narrow_step(part, hidden_states, torch.float32)
            and masks.is_between(part.dropout.p)  # all that attention asks its dropout
            and not rest
            and all(option is None or name in _UNHEARD for name, option in options.items())
            and not part.is_causal
            and part.config._attn_implementation == "sdpa"
            and (mask is None or (not mask.requires_grad and (mask.dtype == torch.bool or mask.is_floating_point())))
            and _are_plain(part, nn.Linear, *linears)
        )
        if is_ours:
            sizes = {"heads": part.num_attention_heads, "p": part.dropout.p, "scale": part.scaling}
            return blocks.self_attention(hidden_states, additive(mask), linears, narrow, **sizes), None
    return type(part).forward(part, hidden_states, attention_mask, *rest, **options)


def _intermediate(part: Any, narrow: NarrowWeights, hidden_states: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        linear, activation = part.dense, part.intermediate_act_fn
        is_gelu = type(activation) is GELUActivation and activation.act is functional.gelu
        if is_gelu and _is_narrow_step(part, hidden_states, torch.float32) and _are_plain(part, nn.Linear, linear):
            return blocks.intermediate(hidden_states, linear, narrow)
    return type(part).forward(part, hidden_states)


def _output(part: Any, narrow: NarrowWeights, hidden_states: Tensor, input_tensor: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        linear, norm, dropout = part.dense, part.LayerNorm, part.dropout
        is_ours = (
            _is_narrow_step(part, hidden_states, blocks.NARROW)
            and type(dropout) is nn.Dropout
            and dropout.training
            and masks.is_between(dropout.p)
            and input_tensor.dtype == torch.float32
            and input_tensor.requires_grad
            and _are_plain(part, nn.Linear, linear)
            and _are_plain(part, nn.LayerNorm, norm)
        )
        if is_ours:
            return blocks.output(hidden_states, input_tensor, linear, norm, narrow, p=dropout.p)
    return type(part).forward(part, hidden_states, input_tensor)


_WAYS: dict[str, Callable[..., Any]] = {
    "SelfAttention": _self_attention,
    "SelfOutput": _output,
    "Intermediate": _intermediate,
    "Output": _output,
}


def _ways_of(model_type: str) -> dict[str, Callable[..., Any]]:
    """How the parts of an architecture are computed, by the full names of their classes."""
    architecture, prefix = model_type.replace("-", "_"), CONFIG_MAPPING[model_type].__name__.removesuffix("Config")
    module = f"transformers.models.{architecture}.modeling_{architecture}"
    return {f"{module}.{prefix}{part}": way for part, way in _WAYS.items()}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_narrow_step(part: nn.Module, states: Tensor, dtype: torch.dtype) -> bool:
    """Whether a part is at work in a training step in bfloat16, on states `[N,T,…]` of a dtype."""
    return (
        part.training
        and states.dtype == dtype
        and states.dim() == 3
        and states.requires_grad
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == blocks.NARROW
    )


def _are_plain(part: nn.Module, kind: type[nn.Module], *layers: Any) -> bool:
    """Whether layers of a part are PyTorch's own, with weights in float32 that all move, and none of it has hooks."""
    for layer in layers:
        if type(layer) is not kind:  # whose weights may be computed as they are read
            return False
        for weight in (layer.weight, layer.bias):
            if type(weight) is not nn.Parameter or not weight.requires_grad or weight.dtype != torch.float32:
                return False
    return not modules._has_any_global_hook() and not any(  # type: ignore[no-untyped-call]
        child._forward_hooks
        or child._forward_pre_hooks
        or child._backward_hooks
        or child._backward_pre_hooks
        or "forward" in child.__dict__
        for child in part.children()
    )
