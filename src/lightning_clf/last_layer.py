"""The last layer computed for the tokens that are read.

A head that reads the first token alone, or the first subword of each word, leaves the others of the last layer's output
unused. In the layers that came with BERT what follows attention, the output projection and the feed-forward part, is
three quarters of a layer's products and works on each token by itself: there some tokens are as good as all of them, in
training too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from lightning_clf.bert_like import BERT_LIKE
from lightning_clf.packing import Packing

_STEP = 64
"""How many tokens are taken is a multiple of this: oneDNN prepares products anew for each size it meets, which takes
longer than a few rows more."""
_READ: ContextVar[Packing | None] = ContextVar("read", default=None)

Handles = tuple[RemovableHandle, ...]


def narrow_to_first_token(encoder: PreTrainedModel) -> Handles:
    """Have an encoder's last layer go on from attention with the first token alone.

    Its output is then `[N,1,H]`, and what is read at the first token is what it was, but for rounding. Encoders of
    other architectures are left as they are.

    Args:
        encoder: A `transformers` model, with a head that reads the first token, or without one.

    Returns:
        What undoes it when each is removed; none where the architecture does not allow it.
    """
    layer = _last_layer(encoder)
    return () if layer is None else (layer.attention.output.register_forward_pre_hook(_first_token),)


def narrow_to_words(encoder: PreTrainedModel) -> Handles:
    """Have an encoder's last layer go on from attention with those tokens that `reading` names, where it names some.

    Its output is `[N,T,H]` as before, with zeros at others. Encoders of other architectures are left as they are.

    Args:
        encoder: A `transformers` model, with a head for words or without one.

    Returns:
        What undoes it when each is removed; none where the architecture does not allow it.
    """
    layer = _last_layer(encoder)
    if layer is None:
        return ()
    return layer.attention.output.register_forward_pre_hook(_take), layer.register_forward_hook(_put_back)


def is_computed_once(encoder: PreTrainedModel) -> bool:
    """Whether a step computes the last layer once, rather than once more in `backward` to save memory."""
    layer = _last_layer(encoder)
    return not getattr(layer, "gradient_checkpointing", False)  # which what wraps a layer may lack


@contextlib.contextmanager
def reading(places: Tensor, inputs: Tensor) -> Iterator[None]:
    """Say which tokens are read of what an encoder computes meanwhile. It must not be computed again in `backward`.

    Args:
        places: Where in the flattened `[N*T]` they lie, each once. Int64 `[K]`.
        inputs: The batch's `input_ids [N,T]`.
    """
    # not an attribute of the encoder, which is copied, and may be at work in another thread
    token = _READ.set(_taken(places, inputs) if len(places) else None)
    try:
        yield
    finally:
        _READ.reset(token)


def _taken(places: Tensor, inputs: Tensor) -> Packing:
    """The places, and as many others as it takes to come to a multiple of `_STEP`, as far as there are any."""
    mask = torch.zeros(inputs.numel(), dtype=torch.bool).index_fill_(0, places, value=True)
    missing = -len(places) % _STEP
    mask[(~mask).nonzero()[:missing, 0]] = True
    return Packing.of(mask.view_as(inputs))


def _last_layer(encoder: PreTrainedModel) -> Any:
    config = encoder.config
    if config.model_type not in BERT_LIKE or config.is_decoder or not config.num_hidden_layers:
        return None
    body: Any = encoder.base_model
    return body.encoder.layer[-1]


def _first_token(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The first token of what was attended to `[N,T,H]`, and of the layer's input `[N,T,H]` that is added to it."""
    attended, given = arguments
    return attended[:, :1], given[:, :1]


def _take(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """What is read, `[1,K,H]`, of what was attended to `[N,T,H]` and of the layer's input `[N,T,H]`."""
    read = _READ.get()
    return arguments if read is None else tuple(read.pack(states) for states in arguments)


def _put_back(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
    """The layer's output `[1,K,H]` where it belongs in `[N,T,H]`."""
    read = _READ.get()
    return output if read is None else read.unpack(output)
