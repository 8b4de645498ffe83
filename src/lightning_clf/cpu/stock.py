"""Whether a BERT-like layer is as `transformers` has it, of layers as PyTorch has them, and at work in training."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as modules
from transformers.activations import GELUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from lightning_clf.cpu import masks
from lightning_clf.cpu.unlearned_attention import ATTENTION, sdpa_of

_UNHEARD = frozenset({"output_attentions", "output_hidden_states", "return_dict", "use_cache"})
"""What comes down to attention by keyword and is not for `sdpa`."""
_WRAPPERS = {"transformers.modeling_layers", "transformers.utils.deprecation"}
"""Where `transformers` wraps code of its own, and hands on what it is given."""
_BELOW: dict[type[nn.Module], str] = {
    nn.Linear: "torch.nn.modules.linear",
    nn.LayerNorm: "torch.nn.modules.normalization",
    nn.Dropout: "torch.nn.modules.dropout",
    GELUActivation: "transformers.activations",
}
"""What layers are made of, and where it is written."""
_FUNCTIONAL = "torch.nn.functional"


def is_own_code(function: Any, room: str) -> bool:
    """Whether a function was written in this module, whatever it says of itself: what wraps another takes its name."""
    while type(function) is FunctionType and hasattr(function, "__wrapped__"):
        if function.__globals__["__name__"] not in _WRAPPERS:
            return False
        function = function.__wrapped__
    return type(function) is FunctionType and function.__globals__["__name__"] == room


def is_stock_below() -> bool:
    """Whether what layers are made of is computed by the code it came with."""
    return (
        all(is_own_code(kind.forward, room) for kind, room in _BELOW.items())
        and all(is_own_code(function, _FUNCTIONAL) for function in (functional.layer_norm, functional.dropout))
        and functional.linear is torch._C._nn.linear
        and functional.gelu is torch._C._nn.gelu
    )


def is_watched_at_all() -> bool:
    """Whether there are hooks of all modules."""
    return bool(modules._has_any_global_hook())  # type: ignore[no-untyped-call]


def is_stock_layer(layer: Any) -> bool:
    """Whether a layer goes through its parts as it came, at work in training, and nothing looks at its attention."""
    attention, room = layer.attention, type(layer).__module__
    return (
        layer.training
        and not layer.is_decoder
        and not layer.chunk_size_feed_forward
        and "feed_forward_chunk" not in layer.__dict__
        and is_own_code(type(layer).feed_forward_chunk, room)
        and is_own_code(type(attention).forward, room)
        and _is_itself(attention)
    )


def is_stock_attention(part: Any, mask: Tensor | None, options: dict[str, Any]) -> bool:
    """Whether attention is as architectures have it for texts, at work in training, with a mask that learns nothing."""
    size = part.num_attention_heads * part.attention_head_size
    linears = (part.query, part.key, part.value)
    return (
        part.training
        and masks.is_between(part.dropout.p)  # all that attention asks its dropout
        and all(option is None or name in _UNHEARD for name, option in options.items())
        and not getattr(part, "is_causal", True)
        and part.config._attn_implementation in ("sdpa", ATTENTION)
        and sdpa_of(part) is sdpa_attention_forward
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


def _is_itself(module: nn.Module) -> bool:
    """Whether a module has no hooks, and no other code in the place of its class's."""
    return not has_hooks(module) and "forward" not in module.__dict__


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
    """Whether nothing looks at the layers of a part, or stands in their place."""
    return all(_is_itself(layer) for layer in part.children())
