"""An encoder with fewer of its layers: a stock model of its own, with the weights of those it keeps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

from lightning_clf.errors import InputError
from lightning_clf.finetuning.depth import parts_by_depth

Layers = int | list[int]
"""So many layers, or which of them, counted from 0."""

_KEY = "model.encoder_layers"


def kept_layers(wanted: Layers, count: int) -> list[int]:
    """Which of so many layers are kept.

    A number keeps the first and the last and as evenly as whole numbers allow between them: 6 of 12 are 0, 2, 4, 7, 9
    and 11, as in the code of DistilBERT (Sanh et al. 2019), and 3 of 6 are 0, 3 and 5. One is the first.

    Args:
        wanted: How many, or which.
        count: How many there are.

    Raises:
        InputError: If there are not so many, or they are not in their order, each once.
    """
    if isinstance(wanted, int):
        if not 1 <= wanted <= count:
            raise InputError(f"{_KEY} is {wanted}, and the encoder has {count} layers: give a number from 1 to {count}")
        gap = (count - 1) / max(1, wanted - 1)
        return [math.floor(place * gap + 0.5) for place in range(wanted)]
    layers = list(wanted)
    if not layers or layers != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= count:
        raise InputError(
            f"{_KEY} is {layers}, and the encoder has {count} layers: list some of 0 to {count - 1} in their order, "
            "each once"
        )
    return layers


def narrowed_config(config: PretrainedConfig, wanted: Layers) -> PretrainedConfig:
    """The configuration of an encoder that keeps some of its layers; what it says a layer, it says of those alone.

    Raises:
        InputError: If there are no such layers.
    """
    count: int = config.num_hidden_layers
    layers = kept_layers(wanted, count)
    shallow = copy.deepcopy(config)
    for key, value in config.to_dict().items():
        if isinstance(value, list | tuple) and len(value) == count and "layer" in key:
            setattr(shallow, key, [value[layer] for layer in layers])
    shallow.num_hidden_layers = len(layers)
    return shallow


def with_layers(
    encoder: PreTrainedModel, wanted: Layers, make: Callable[[PretrainedConfig], PreTrainedModel]
) -> PreTrainedModel:
    """The model of `narrowed_config`, with the weights of the layers it keeps and of all that is no layer.

    Args:
        encoder: A `transformers` model, with a head or without one.
        wanted: How many layers, or which.
        make: Makes a model of its class of a configuration.

    Raises:
        InputError: If the architecture cannot be read, or a layer cannot stand where another stood.
    """
    count: int = encoder.config.num_hidden_layers
    layers = kept_layers(wanted, count)
    shallow = make(narrowed_config(encoder.config, wanted))
    state = encoder.state_dict()
    found = [parts[0] for parts in parts_by_depth(encoder, _KEY)[1:]]
    if len(found) == count:  # as in all but ALBERT, which computes one and the same layer again and again
        names = {module: name for name, module in encoder.named_modules()}
        state = _renamed(state, [f"{names[module]}." for module in found], layers)
    try:
        shallow.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{_KEY} {layers} makes no {encoder.config.model_type}, whose layers are not all alike: keep layer 0, or "
            "give a number"
        ) from error
    return shallow


def _renamed(state: dict[str, Any], prefixes: Sequence[str], layers: Sequence[int]) -> dict[str, Any]:
    """The weights of the layers that are kept under their new names, and of all that is no layer."""
    new = {prefixes[layer]: prefixes[place] for place, layer in enumerate(layers)}
    renamed = {}
    for name, weight in state.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if old is None:
            renamed[name] = weight
        elif old in new:
            renamed[new[old] + name.removeprefix(old)] = weight
    return renamed
