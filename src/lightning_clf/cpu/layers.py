"""Which layers of an encoder, and which of their parts, are computed by `blocks.py`, and when."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as modules
from transformers import CONFIG_MAPPING
from transformers.activations import GELUActivation

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.cpu import blocks, masks, passes
from lightning_clf.cpu.attention import additive
from lightning_clf.cpu.blocks import Ending, NarrowWeights
from lightning_clf.cpu.passes import Attending

_UNHEARD = frozenset({"output_attentions", "output_hidden_states", "return_dict", "use_cache"})
"""What comes down to attention by keyword and is not for `sdpa`."""


class Layers:
    """The BERT-like layers within a module, which `blocks.py` computes in training while this is entered.

    A layer is computed at once, or part by part where a part has hooks, which are run, or cannot be computed by
    `blocks.py`. A part is computed by its own code all the same

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


def _layer(
    layer: Any,
    narrow: NarrowWeights,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *rest: Any,
    **options: Any,
) -> Any:
    with torch._C.DisableTorchFunction():  # what is looked at here needs no detour over the step's context
        attention, raising, end = layer.attention, layer.intermediate, layer.output
        is_ours = (
            layer.training
            and not layer.is_decoder
            and not layer.chunk_size_feed_forward
            and all(another is None for another in rest)
            and _is_narrow_step(hidden_states, torch.float32)
            and _is_own(attention, layer)
            and _is_untouched(attention.self, _self_attention)
            and _is_untouched(attention.output, _output)
            and _is_untouched(raising, _intermediate)
            and _is_untouched(end, _output)
            and _is_common_attention(attention.self, attention_mask, options)
            and _is_common_intermediate(raising)
            and _is_common_output(attention.output)
            and _is_common_output(end)
        )
        if is_ours:
            given = attention.self
            linears = (given.query, given.key, given.value, raising.dense)
            endings = (_ending(attention.output), _ending(end))
            return blocks.layer(hidden_states, additive(attention_mask), linears, endings, narrow, _attending(given))
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
        is_ours = not rest and _is_narrow_step(hidden_states, torch.float32)
        if is_ours and _is_common_attention(part, attention_mask, options):
            linears = (part.query, part.key, part.value)
            return blocks.self_attention(
                hidden_states, additive(attention_mask), linears, narrow, _attending(part)
            ), None
    return type(part).forward(part, hidden_states, attention_mask, *rest, **options)


def _intermediate(part: Any, narrow: NarrowWeights, hidden_states: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        if _is_narrow_step(hidden_states, torch.float32) and _is_common_intermediate(part):
            return blocks.intermediate(hidden_states, part.dense, narrow)
    return type(part).forward(part, hidden_states)


def _output(part: Any, narrow: NarrowWeights, hidden_states: Tensor, input_tensor: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        is_residual = input_tensor.dtype == torch.float32 and input_tensor.requires_grad
        if is_residual and _is_narrow_step(hidden_states, passes.NARROW) and _is_common_output(part):
            return blocks.output(hidden_states, input_tensor, _ending(part), narrow)
    return type(part).forward(part, hidden_states, input_tensor)


_WAYS: dict[str, Callable[..., Any]] = {
    "Layer": _layer,
    "SelfAttention": _self_attention,
    "SelfOutput": _output,
    "Intermediate": _intermediate,
    "Output": _output,
}


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


def _is_narrow_step(states: Tensor, dtype: torch.dtype) -> bool:
    """Whether this is a step in bfloat16, on states `[N,T,…]` of a dtype whose gradient is wanted."""
    return (
        states.dtype == dtype
        and states.dim() == 3
        and states.requires_grad
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == passes.NARROW
    )


def _is_common_attention(part: Any, mask: Tensor | None, options: dict[str, Any]) -> bool:
    """Whether attention is as architectures have it for texts, in training, with a mask that learns nothing."""
    return (
        part.training
        and masks.is_between(part.dropout.p)  # all that attention asks its dropout
        and all(option is None or name in _UNHEARD for name, option in options.items())
        and not part.is_causal
        and part.config._attn_implementation == "sdpa"
        and (mask is None or (not mask.requires_grad and (mask.dtype == torch.bool or mask.is_floating_point())))
        and _are_plain(nn.Linear, part.query, part.key, part.value)
        and _have_no_hooks(part.children())
    )


def _is_common_intermediate(part: Any) -> bool:
    """Whether a part is a plain linear layer and GELU, in training."""
    activation = part.intermediate_act_fn
    is_gelu = type(activation) is GELUActivation and activation.act is functional.gelu
    return part.training and is_gelu and _are_plain(nn.Linear, part.dense) and _have_no_hooks(part.children())


def _is_common_output(part: Any) -> bool:
    """Whether a part is a plain linear layer, dropout and norm, in training."""
    dropout = part.dropout
    return (
        part.training
        and type(dropout) is nn.Dropout
        and dropout.training
        and masks.is_between(dropout.p)
        and _are_plain(nn.Linear, part.dense)
        and _are_plain(nn.LayerNorm, part.LayerNorm)
        and _have_no_hooks(part.children())
    )


def _are_plain(kind: type[nn.Module], *layers: Any) -> bool:
    """Whether layers are PyTorch's own, with weights in float32 that all move."""
    for layer in layers:
        if type(layer) is not kind:  # whose weights may be computed as they are read
            return False
        for weight in (layer.weight, layer.bias):
            if type(weight) is not nn.Parameter or not weight.requires_grad or weight.dtype != torch.float32:
                return False
    return True


def _is_own(attention: nn.Module, layer: nn.Module) -> bool:
    """Whether what holds the parts of attention is of the layer's architecture, and nothing looks at it."""
    room = type(layer).__module__
    is_of_it = type(attention).__module__ == room == type(attention).forward.__module__
    return is_of_it and "forward" not in attention.__dict__ and not _has_hooks(attention)


def _is_untouched(part: nn.Module, way: Callable[..., Any]) -> bool:
    """Whether a part of a layer has no hooks, and its own code is replaced by this way."""
    return getattr(part.__dict__.get("forward"), "func", None) is way and not _has_hooks(part)


def _have_no_hooks(layers: Iterable[nn.Module]) -> bool:
    """Whether none of the layers of a part has hooks, or all modules; nor another's code in the place of its own."""
    return not modules._has_any_global_hook() and not any(  # type: ignore[no-untyped-call]
        _has_hooks(layer) or "forward" in layer.__dict__ for layer in layers
    )


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
