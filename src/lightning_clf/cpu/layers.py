"""Which parts of an encoder are computed by `blocks.py`, and when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUActivation

from lightning_clf.cpu import blocks, masks
from lightning_clf.cpu.attention import additive

_ARCHITECTURES = {"bert": "Bert", "camembert": "Camembert", "electra": "Electra", "roberta": "Roberta",
                  "xlm_roberta": "XLMRoberta"}  # fmt: skip
"""By name of their module in `transformers`, how the names of their classes begin: their layers are BERT's."""


class Layers:
    """The parts of BERT-like layers within a module, which `blocks.py` computes in training while this is entered.

    A part keeps its hooks. It is computed by its own code all the same in evaluation, in float32, where a weight of it
    is frozen or a layer of it is not PyTorch's own (as adapters put others in its place) or has hooks, without dropout,
    with attention that is not `sdpa`, or with another activation than GELU.

    Args:
        module: What they are looked for in.
    """

    def __init__(self, module: nn.Module) -> None:
        ways = {
            f"transformers.models.{name}.modeling_{name}.{prefix}{part}": way
            for name, prefix in _ARCHITECTURES.items()
            for part, way in _WAYS.items()
        }
        named = [(part, ways.get(f"{type(part).__module__}.{type(part).__qualname__}")) for part in module.modules()]
        self._ways = [(part, functools.partial(way, part)) for part, way in named if way is not None]

    def enter(self) -> None:
        """From now on, they are computed by `blocks.py` where that is possible."""
        for part, way in self._ways:
            # what another has put in the place of a part's own code is left there
            part.__dict__.setdefault("forward", way)

    def leave(self) -> None:
        """They are computed by their own code again."""
        for part, way in self._ways:
            if part.__dict__.get("forward") is way:
                del part.__dict__["forward"]


def _self_attention(
    part: Any, hidden_states: Tensor, attention_mask: Tensor | None = None, *rest: Any, **options: Any
) -> Any:
    with torch._C.DisableTorchFunction():  # what is looked at here needs no detour over the step's context
        linears, p = (part.query, part.key, part.value), part.dropout.p
        is_ours = (
            _is_narrow_step(part, hidden_states, torch.float32, p)
            and not rest
            and options.get("past_key_values") is None
            and not part.is_causal
            and part.config._attn_implementation == "sdpa"
            and (attention_mask is None or not attention_mask.requires_grad)
            and hidden_states.dim() == 3
            and _are_plain(part, *linears)
        )
        if is_ours:
            heads, scale = part.num_attention_heads, part.scaling
            to_add = additive(attention_mask)
            return blocks.self_attention(hidden_states, to_add, linears, heads=heads, p=p, scale=scale), None
    return type(part).forward(part, hidden_states, attention_mask, *rest, **options)


def _intermediate(part: Any, hidden_states: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        linear, activation = part.dense, part.intermediate_act_fn
        is_gelu = type(activation) is GELUActivation and activation.act is functional.gelu
        if is_gelu and _is_narrow_step(part, hidden_states, torch.float32) and _are_plain(part, linear):
            return blocks.intermediate(hidden_states, linear)
    return type(part).forward(part, hidden_states)


def _output(part: Any, hidden_states: Tensor, input_tensor: Tensor) -> Any:
    with torch._C.DisableTorchFunction():
        linear, norm, p = part.dense, part.LayerNorm, part.dropout.p
        is_ours = (
            _is_narrow_step(part, hidden_states, blocks.NARROW, p)
            and input_tensor.dtype == torch.float32
            and input_tensor.requires_grad
            and _are_plain(part, linear, norm)
        )
        if is_ours:
            return blocks.output(hidden_states, input_tensor, linear, norm, p=p)
    return type(part).forward(part, hidden_states, input_tensor)


_WAYS: dict[str, Callable[..., Any]] = {
    "SelfAttention": _self_attention,
    "SelfOutput": _output,
    "Intermediate": _intermediate,
    "Output": _output,
}


def _is_narrow_step(part: nn.Module, states: Tensor, dtype: torch.dtype, p: float | None = None) -> bool:
    """Whether a part is at work in a training step in bfloat16, on states of a dtype, with dropout if it has any."""
    return (
        part.training
        and states.dtype == dtype
        and states.requires_grad
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == blocks.NARROW
        and (p is None or masks.is_between(p))
    )


def _are_plain(part: nn.Module, *layers: Any) -> bool:
    """Whether layers of a part are PyTorch's own, with weights in float32 that all move, and none of it has hooks."""
    for layer in layers:
        weight, bias = layer.weight, layer.bias
        if (
            type(layer) not in (nn.Linear, nn.LayerNorm)
            or weight is None
            or bias is None
            or not (weight.requires_grad and bias.requires_grad)
            or weight.dtype != torch.float32
            or bias.dtype != torch.float32
        ):
            return False
    for child in part._modules.values():
        if child is not None and (
            child._forward_hooks
            or child._forward_pre_hooks
            or child._backward_hooks
            or child._backward_pre_hooks
            or "forward" in child.__dict__
        ):
            return False
    return True
