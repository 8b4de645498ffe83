"""Attention where no gradient is wanted, in bfloat16: the two products of all heads, with a softmax between them.

PyTorch's own goes through blocks of one head after another. On a CPU with AVX-512 that took about twice as long up to
some 512 subwords, and with AMX where texts are short. Its scores stay in float32, and these are rounded to bfloat16, as
those of `eager` are: queries and keys of which they are computed are rounded before.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lightning_clf.cpu.attention import additive, computed_in, flat, weigh

ATTENTION = "lightning_clf_sdpa"
"""The name `transformers` knows it by."""

_ARCHITECTURES = frozenset(
    {"albert", "bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"}
)
"""Those that were verified: some of the others ask for `sdpa` by its name."""
_AT_ONCE = 2**20
"""Scores that are computed at once, which caches hold, or those of one text."""
_MOST = 3 * 2**20
"""Scores of one text, of all heads, above which PyTorch's own was faster: those of 512 subwords and twelve heads."""
_FEW = 500
"""Rows of scores below which PyTorch's own was faster."""
_SHORT = 32
"""Subwords up to which PyTorch's own was slower with AMX."""
_HEARD = ("cache", "position_bias", "softcap")
"""What `sdpa` is told of by keyword that changes what it computes."""


def take_unlearned_attention(encoder: PreTrainedModel) -> None:
    """Have attention that is `sdpa` computed here where no gradient is wanted and that is cheaper, from now on.

    Args:
        encoder: A `transformers` model. One whose attention is another, or was not verified, is left as it is.
    """
    config = encoder.config
    if config._attn_implementation == "sdpa" and config.model_type in _ARCHITECTURES:
        encoder.set_attn_implementation(ATTENTION)


def sdpa_of(part: Any) -> Any:
    """What a part finds under the name `sdpa`: each architecture's module has the table, which others may exchange."""
    rooms = (sys.modules.get(kind.__module__) for kind in type(part).__mro__)  # of a class of one's own, its base's
    tables = (getattr(room, "ALL_ATTENTION_FUNCTIONS", None) for room in rooms)
    return next((table for table in tables if table is not None), ALL_ATTENTION_FUNCTIONS).get("sdpa")


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention as `transformers` calls it, `[N,heads,T,H/heads]` each: `[N,T,heads,H/heads]`, and no weights."""
    own: Callable[..., tuple[Tensor, Tensor | None]] = sdpa_of(module)
    causal = attention_mask is None and (getattr(module, "is_causal", True) if is_causal is None else is_causal)
    is_plain = not (causal or dropout or module.training) and all(options.get(name) is None for name in _HEARD)
    if is_plain and own is sdpa_attention_forward and _is_cheaper(query, key, value, attention_mask):
        return _attend(query, key, value, attention_mask, query.shape[-1] ** -0.5 if scaling is None else scaling), None
    return own(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **options
    )


def _is_cheaper(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return False  # before anything is asked of shapes, which may be of any size there
    texts, heads, length, _ = query.shape
    return (
        query.dtype == key.dtype == value.dtype == computed_in(query) == torch.bfloat16
        and query.device.type == "cpu"
        and not torch.is_grad_enabled()
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and (mask is None or (mask.dim() == 4 and (mask.dtype == torch.bool or mask.is_floating_point())))
        and texts * heads * length >= _FEW
        and 0 < heads * length * key.shape[2] <= _MOST
        and key.shape[2] <= _longest()
    )


@functools.cache
def _longest() -> float:
    """The subwords up to which this processor is faster this way."""
    abilities = torch.cpu.get_capabilities()
    if not abilities.get("avx512_bf16"):
        return 0
    return _SHORT if abilities.get("amx_bf16") else float("inf")


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Attention of some texts at a time: what was attended to, `[N,T,heads,H/heads]`.

    A text that may attend to nothing, as one that is all padding, attends to all alike, where `sdpa` has zeros.
    """
    (texts, heads, length, _), width = query.shape, value.shape[-1]
    several = max(1, _AT_ONCE // (heads * length * key.shape[2]))
    attended = value.new_empty(texts, length, heads, width)
    for start in range(0, texts, several):
        some = slice(start, start + several)
        queries, keys, values = query[some], key[some], value[some]
        to_add = additive(mask if mask is None or len(mask) == 1 else mask[some])
        weights = weigh(flat(queries), flat(keys), to_add, queries.shape[:2], scale)
        found = torch.bmm(weights.to(value.dtype), flat(values))
        attended[some] = found.view(-1, heads, length, width).transpose(1, 2)
    return attended


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
