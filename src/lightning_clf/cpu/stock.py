"""Whether a BERT-like layer is as `transformers` has it, of layers as PyTorch has them, and at work in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as modules
from transformers.activations import GELUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lightning_clf.cpu import masks

_UNHEARD = frozenset({"output_attentions", "output_hidden_states", "return_dict", "use_cache"})
"""What comes down to attention by keyword and is not for `sdpa`."""
_CHECKPOINTING = "transformers.modeling_layers"
_BELOW: dict[type[nn.Module], str] = {
    nn.Linear: "torch.nn.modules.linear",
    nn.LayerNorm: "torch.nn.modules.normalization",
    nn.Dropout: "torch.nn.modules.dropout",
    GELUActivation: "transformers.activations",
}


def is_own_code(function: Any, room: str) -> bool:
    """Whether a function was written in this module, whatever it says of itself: what wraps another takes its name."""
    while hasattr(function, "__wrapped__"):
        if _room(function) != _CHECKPOINTING:  # which wraps each layer's
            return False
        function = function.__wrapped__
    return bool(_room(function) == room)


def is_stock_below() -> bool:
    """Whether all layers, and attention `sdpa`, are computed by the code they came with, and nothing looks at all."""
    return (
        all(is_own_code(kind.forward, room) for kind, room in _BELOW.items())
        and ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
        and not modules._has_any_global_hook()  # type: ignore[no-untyped-call]
    )


def is_stock_layer(layer: Any) -> bool:
    """Whether a layer goes through its parts as it came, at work in training, and nothing looks at its attention."""
    attention, room = layer.attention, type(layer).__module__
    return (
        layer.training
        and not layer.is_decoder
        and not layer.chunk_size_feed_forward
        and not layer.gradient_checkpointing
        and "feed_forward_chunk" not in layer.__dict__
        and is_own_code(type(layer).feed_forward_chunk, room)
        and type(attention).__module__ == room
        and is_own_code(type(attention).forward, room)
        and "forward" not in attention.__dict__
        and not has_hooks(attention)
    )


def is_stock_attention(part: Any, mask: Tensor | None, options: dict[str, Any]) -> bool:
    """Whether attention is as architectures have it for texts, at work in training, with a mask that learns nothing."""
    size = part.num_attention_heads * part.attention_head_size
    linears = (part.query, part.key, part.value)
    return (
        part.training
        and masks.is_between(part.dropout.p)  # all that attention asks its dropout
        and all(option is None or name in _UNHEARD for name, option in options.items())
        and not part.is_causal
        and part.config._attn_implementation == "sdpa"
        and (mask is None or (not mask.requires_grad and (mask.dtype == torch.bool or mask.is_floating_point())))
        and _are_plain(nn.Linear, *linears)
        and all(linear.weight.shape == (size, size) for linear in linears)  # no head was pruned
        and _is_unwatched(part)
    )


def is_stock_intermediate(part: Any) -> bool:
    """Whether a part is a plain linear layer and GELU, at work in training."""
    activation = part.intermediate_act_fn
    is_gelu = type(activation) is GELUActivation and activation.act is functional.gelu
    return is_gelu and part.training and _are_plain(nn.Linear, part.dense) and _is_unwatched(part)


def is_stock_output(part: Any) -> bool:
    """Whether a part is a plain linear layer, dropout and norm, at work in training."""
    dropout = part.dropout
    return (
        part.training
        and type(dropout) is nn.Dropout
        and dropout.training
        and masks.is_between(dropout.p)
        and _are_plain(nn.Linear, part.dense)
        and _are_plain(nn.LayerNorm, part.LayerNorm)
        and _is_unwatched(part)
    )


def has_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks of its own."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def _room(function: Any) -> Any:
    return getattr(function, "__globals__", {}).get("__name__")


def _are_plain(kind: type[nn.Module], *layers: Any) -> bool:
    """Whether layers are PyTorch's own, with weights in float32 that all move."""
    for layer in layers:
        if type(layer) is not kind:  # whose weights may be computed as they are read
            return False
        for weight in (layer.weight, layer.bias):
            if type(weight) is not nn.Parameter or not weight.requires_grad or weight.dtype != torch.float32:
                return False
    return True


def _is_unwatched(part: nn.Module) -> bool:
    """Whether none of the layers of a part has hooks, or another's code in the place of its own."""
    return not any(has_hooks(layer) or "forward" in layer.__dict__ for layer in part.children())
