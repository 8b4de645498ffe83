"""How deep each part of an encoder lies: embeddings, layers in their order, and what is above them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from transformers import PreTrainedModel

from lightning_clf.errors import InputError

_ABOVE = frozenset({"pooler", "norm", "final_norm", "final_layer_norm", "LayerNorm"})
# DeBERTa's: what it reads relative positions with, and the convolution that is added to the first layer's output
_BESIDE_RELATIVE_EMBEDDINGS = {"LayerNorm": 0, "conv": 1}


def parts_by_depth(encoder: PreTrainedModel, key: str = "model.finetuning") -> list[list[nn.Module]]:
    """The parts of an encoder by depth: 0 the embeddings, and i + 1 layer i, counted from 0; L layers in all.

    The layers are the one list of modules in the encoder's body. Layers that are one and the same module, as ALBERT's,
    are one depth. What feeds the layers is of depth 0, relative positions included. What stands above them (a last
    norm, a pooler, the head) is in no part: its depth is L + 1.

    Args:
        encoder: A `transformers` model, with a head or without one.
        key: What a user asked for who needs the layers.

    Returns:
        L + 1 lists of modules.

    Raises:
        InputError: If the body has no list of layers or several, or a part that is neither below nor above them by
            its name.
    """
    body = encoder.base_model
    lists: list[nn.ModuleList] = []
    outside: list[tuple[nn.Module, str]] = []
    for parent, name in _outermost(body):
        child = parent.get_submodule(name) if name in parent._modules else parent
        if isinstance(child, nn.ModuleList):
            lists.append(child)
        else:
            outside.append((parent, name))
    if len(lists) != 1:
        raise _unreadable(encoder, key, f"it has {len(lists)} lists of layers, not one")
    parts: list[list[nn.Module]] = [[], *([layer] for layer in lists[0])]
    for parent, name in outside:
        depth = _depth(parent, name)
        if depth is None:
            raise _unreadable(encoder, key, f"its part {name!r} may lie below or above them")
        if depth < len(parts):
            parts[int(depth)].append(parent.get_submodule(name))
    return parts


def depths(encoder: PreTrainedModel) -> dict[int, int]:
    """The depth of each parameter below the head, by the `id` of the parameter: 0 embeddings, i + 1 layer i.

    What the mapping lacks is of depth L + 1.

    Raises:
        InputError: If the architecture cannot be read.
    """
    found: dict[int, int] = {}
    for depth, parts in enumerate(parts_by_depth(encoder)):
        for part in parts:
            for parameter in part.parameters():
                found.setdefault(id(parameter), depth)  # one that is shared moves with the lowest
    return found


def _outermost(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Every list of modules that is in no other, and every part beside the way to one, each with what holds it."""
    for name, _ in module.named_parameters(recurse=False):
        yield module, name
    for name, child in module.named_children():
        has_list = any(isinstance(inner, nn.ModuleList) for inner in child.modules())
        if isinstance(child, nn.ModuleList) or not has_list:
            yield module, name
        else:
            yield from _outermost(child)


def _depth(parent: nn.Module, name: str) -> float | None:
    """The depth of a part beside the layers, infinite above them; `None` where its name does not tell."""
    child = parent._modules.get(name)
    if child is None:
        return None  # a parameter that belongs to no part
    if hasattr(parent, "rel_embeddings") and name in _BESIDE_RELATIVE_EMBEDDINGS:
        return _BESIDE_RELATIVE_EMBEDDINGS[name]
    if name in _ABOVE:
        return float("inf")
    has_parameters = any(True for _ in child.parameters())
    return 0 if "embed" in name or name == "relative_attention_bias" or not has_parameters else None


def _unreadable(encoder: PreTrainedModel, key: str, why: str) -> InputError:
    return InputError(
        f"{key} cannot tell the layers of {encoder.config.model_type} apart ({why}): leave it out, or "
        "choose another encoder"
    )
