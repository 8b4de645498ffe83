"""The texts of a batch one after another in one row, so that nothing is computed for padding.

What an encoder does in its layers works on each token by itself, attention excepted. Between the embeddings and what
stands above the layers, hidden states `[N,T,H]` become one row `[1,M,H]` of the M tokens that are no padding, and
attention is computed within each text: by PyTorch's kernel for texts of varying length where a GPU has it, and
elsewhere padded for its two products alone. Embeddings, poolers and heads know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel

from lightning_clf.errors import InputError

ATTENTION = "lightning_clf_packed"
"""The name `transformers` knows the attention by."""

# where in its body an architecture has its layers; a test holds each against what it computes with padding
_LAYERS = {
    "bert": "encoder.layer",
    "camembert": "encoder.layer",
    "distilbert": "transformer.layer",
    "electra": "encoder.layer",
    "modernbert": "layers",
    "roberta": "encoder.layer",
    "xlm-roberta": "encoder.layer",
}
_ROTARY = frozenset({"modernbert"})  # which reads positions within its layers


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a batch are, padded and packed. M is the number of them that are no padding.

    Attributes:
        mask: True where a token is no padding. Bool `[N,T]`.
        places: Where in the flattened `[N*T]` each token lies. Int64 `[M]`.
        bounds: Where in the row each text begins, and where the last one ends. Int32 `[N+1]`.
    """

    mask: Tensor
    places: Tensor
    bounds: Tensor

    @classmethod
    def of(cls, attention_mask: Tensor) -> Packing:
        """The packing of a batch with an attention mask `[N,T]`."""
        mask = attention_mask.bool()
        ends = mask.sum(1).cumsum(0)
        return cls(mask, mask.flatten().nonzero().squeeze(1), functional.pad(ends, (1, 0)).int())

    def pack(self, padded: Tensor) -> Tensor:
        """`[N,T,…]` to `[1,M,…]`."""
        return padded.flatten(0, 1).index_select(0, self.places)[None]

    def unpack(self, packed: Tensor) -> Tensor:
        """`[1,M,…]` to `[N,T,…]`, with zeros for padding."""
        rest = packed.shape[2:]
        padded = packed.new_zeros(self.mask.numel(), *rest).index_copy(0, self.places, packed[0])
        return padded.view(*self.mask.shape, *rest)


def pack(encoder: PreTrainedModel, *, narrowed: bool) -> None:
    """Have the layers of an encoder compute without padding, from now on. May be called again.

    What it gives is what it was, but for rounding, and for zeros where padding is.

    Args:
        encoder: A `transformers` model, with a head or without one. It is to be called with an `attention_mask`.
        narrowed: Whether its last layer is of the first token alone (`last_layer.py`). It is padded then: but for
            attention, little is left of it.

    Raises:
        InputError: If the architecture is not one that was verified.
    """
    config = encoder.config
    if config._attn_implementation == ATTENTION:
        return
    if config.model_type not in _LAYERS or getattr(config, "is_decoder", False) or not config.num_hidden_layers:
        raise InputError(
            f"model.packed is not for {config.model_type} as this encoder has it: leave it out, or choose an encoder "
            f"of {', '.join(_LAYERS)}"
        )
    layers: Any = encoder.base_model.get_submodule(_LAYERS[config.model_type])
    encoder.set_attn_implementation(ATTENTION)
    encoder.register_forward_pre_hook(_plan, with_kwargs=True)
    layers[0].register_forward_pre_hook(_pack, with_kwargs=True)
    if narrowed:
        layers[-1].register_forward_pre_hook(_unpack_before, with_kwargs=True)
    else:
        layers[-1].register_forward_hook(_unpack_after, with_kwargs=True)


# hooks are functions, and a packing goes with the call, so that a network can be copied, and a layer computed once more

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _plan(encoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Every layer and its attention are given what the encoder is called with."""
    packing = Packing.of(kwargs["attention_mask"])
    given = {**kwargs, "packing": packing}
    config: Any = encoder.config
    if config.model_type in _ROTARY:
        given["position_ids"] = (packing.places % packing.mask.shape[1])[None]
    return args, given


def _pack(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    hidden, *rest = args
    return (kwargs["packing"].pack(hidden), *rest), kwargs


def _unpack_before(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    hidden, _, *rest = args
    packing: Packing = kwargs["packing"]
    return (packing.unpack(hidden), packing.mask[:, None, None], *rest), kwargs


def _unpack_after(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
    packing: Packing = kwargs["packing"]
    return packing.unpack(output)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packing: Packing,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention within each text, as `transformers` calls it.

    Args:
        module: What computes the rest of attention.
        query: `[1,heads,M,D]`; or `[N,heads,T,D]` where a layer is padded.
        key: As the query.
        value: As the query.
        attention_mask: What may be attended to where a layer is padded, bool `[N,1,1,T]`; `None` where it is packed.
        packing: Where the tokens are.
        scaling: What the products of queries and keys are multiplied by.
        dropout: The probability of dropping an attention weight.
        sliding_window: How far a token sees, itself included; `None` is all the text.
        **options: What else an architecture says, which changes nothing here.

    Returns:
        What was attended to `[1,M,heads,D]` or `[N,T,heads,D]`, and no weights.
    """
    if attention_mask is not None:
        return _padded(query, key, value, attention_mask, dropout, scaling).transpose(1, 2), None
    query, key, value = (states.transpose(1, 2) for states in (query, key, value))
    longest = packing.mask.shape[1]
    if _has_kernel(query, dropout):
        far = -1 if sliding_window is None else sliding_window - 1
        row, key_row, value_row = (states[0].contiguous() for states in (query, key, value))
        bounds, window = packing.bounds, (far, far)
        attended: Any = varlen_attn(
            row, key_row, value_row, bounds, bounds, longest, longest, scale=scaling, window_size=window
        )
        return attended[None], None
    mask = packing.mask[:, None, None]
    if sliding_window is not None:
        place = torch.arange(longest, device=mask.device)
        mask = mask & ((place[:, None] - place).abs() < sliding_window)
    query, key, value = (packing.unpack(states).transpose(1, 2) for states in (query, key, value))
    return packing.pack(_padded(query, key, value, mask, dropout, scaling).transpose(1, 2)), None


def _has_kernel(query: Tensor, dropout: float) -> bool:
    """Whether PyTorch's kernel for varying length takes queries `[1,M,heads,D]`; it knows no dropout."""
    is_half = query.dtype in (torch.float16, torch.bfloat16)
    fits = query.is_cuda and is_half and query.shape[-1] % 8 == 0 and query.shape[-1] <= 256
    return fits and not dropout and torch.cuda.get_device_capability(query.device) >= (8, 0)


def _padded(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float, scaling: float) -> Tensor:
    """`[N,heads,T,D]` to the same; what padding attends to is not looked at."""
    attended: Tensor = functional.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
    return attended


AttentionInterface.register(ATTENTION, _attention)
