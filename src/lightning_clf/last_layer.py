"""The last layer computed for the tokens that are read.

A head that reads the first token alone, or the first subword of each word, leaves the others of the last layer's output
unused. In the layers that came with BERT what follows attention, the output projection and the feed-forward part, is
three quarters of a layer's products and works on each token by itself: there some tokens are as good as all of them, in
training too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# whose own heads for texts read the first token, and whose layers are BERT's; a test holds each against the whole layer
_BERT_LIKE = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
_STEP = 64
"""How many tokens are taken is a multiple of this: oneDNN prepares products anew for each size it meets, which takes
longer than a few rows more."""
_READ: ContextVar[Tensor | None] = ContextVar("read", default=None)

Undo = Callable[[], None]


def narrow_to_first_token(encoder: PreTrainedModel) -> Undo | None:
    """Have an encoder's last layer go on from attention with the first token alone.

    Its output is then `[N,1,H]`, and what is read at the first token is what it was, but for rounding. Encoders of
    other architectures are left as they are.

    Args:
        encoder: A `transformers` model, with a head that reads the first token, or without one.

    Returns:
        What undoes it; `None` where the architecture does not allow it.
    """
    layer = _last_layer(encoder)
    return None if layer is None else layer.attention.output.register_forward_pre_hook(_first_token).remove


def narrow_to_words(encoder: PreTrainedModel) -> Undo | None:
    """Have an encoder's last layer go on from attention with those tokens that `reading` names, where it names some.

    Its output is `[N,T,H]` as before, with zeros at others. Encoders of other architectures are left as they are.

    Args:
        encoder: A `transformers` model, with a head for words or without one.

    Returns:
        What undoes it; `None` where the architecture does not allow it.
    """
    layer = _last_layer(encoder)
    if layer is None:
        return None
    before = layer.attention.output.register_forward_pre_hook(_take)
    after = layer.register_forward_hook(_put_back)

    def undo() -> None:
        before.remove()
        after.remove()

    return undo


@contextlib.contextmanager
def reading(places: Tensor, tokens: int) -> Iterator[None]:
    """Say which tokens are read of what an encoder computes meanwhile. It must not be computed again in `backward`.

    Args:
        places: Where in the flattened `[N*T]` they lie, each once. Int64 `[K]`.
        tokens: N times T.
    """
    # not an attribute of the encoder, which is copied, and may be at work in another thread
    token = _READ.set(_with_others(places, tokens) if len(places) else None)
    try:
        yield
    finally:
        _READ.reset(token)


def _with_others(places: Tensor, tokens: int) -> Tensor:
    """The places, and as many others as it takes to come to a multiple of `_STEP`, as far as there are any."""
    missing = min(-(-len(places) // _STEP) * _STEP, tokens) - len(places)
    others = torch.ones(tokens, dtype=torch.bool).index_fill_(0, places, value=False).nonzero().squeeze(1)
    return torch.cat([places, others[:missing]])


def _last_layer(encoder: PreTrainedModel) -> Any:
    config = encoder.config
    if config.model_type not in _BERT_LIKE or config.is_decoder or not config.num_hidden_layers:
        return None
    body: Any = encoder.base_model
    return body.encoder.layer[-1]


def _first_token(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The first token of what was attended to `[N,T,H]`, and of the layer's input `[N,T,H]` that is added to it."""
    attended, given = arguments
    return attended[:, :1], given[:, :1]


def _take(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """What is read, `[1,K,H]`, of what was attended to `[N,T,H]` and of the layer's input `[N,T,H]`."""
    places = _READ.get()
    if places is None:
        return arguments
    attended, given = arguments
    return tuple(states.flatten(0, 1).index_select(0, places)[None] for states in (attended, given))


def _put_back(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
    """The layer's output `[1,K,H]` where it belongs in `[N,T,H]`."""
    places = _READ.get()
    if places is None:
        return output
    windows, length, _ = arguments[0].shape
    whole = output.new_zeros(windows * length, output.shape[-1])
    return whole.index_copy(0, places, output[0]).view(windows, length, -1)
