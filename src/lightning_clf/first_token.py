"""The last layer computed for the one token that is read.

A head that reads the first token alone leaves the others of the last layer's output unused. In the layers that came
with BERT what follows attention, the output projection and the feed-forward part, is three quarters of a layer's
products and works on each token by itself: there the first token is as good as all of them, in training too.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

# whose own heads for texts read the first token, and whose layers are BERT's; a test holds each against the whole layer
_BERT_LIKE = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})


def narrow_last_layer(encoder: PreTrainedModel) -> RemovableHandle | None:
    """Have an encoder's last layer go on from attention with the first token alone.

    Its output is then `[N,1,H]`, and what is read at the first token is what it was, but for rounding. Encoders of
    other architectures are left as they are.

    Args:
        encoder: A `transformers` model, with a head that reads the first token, or without one.

    Returns:
        What undoes it when removed; `None` where the architecture does not allow it.
    """
    config = encoder.config
    if config.model_type not in _BERT_LIKE or config.is_decoder or not config.num_hidden_layers:
        return None
    body: Any = encoder.base_model
    output: nn.Module = body.encoder.layer[-1].attention.output
    return output.register_forward_pre_hook(_first_token)


def _first_token(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The first token of what was attended to `[N,T,H]`, and of the layer's input `[N,T,H]` that is added to it."""
    attended, given = arguments
    return attended[:, :1], given[:, :1]
