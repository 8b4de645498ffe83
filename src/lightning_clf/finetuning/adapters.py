"""Low-rank adapters in weights: found, and added to the matrices they adapt, without the package that trains them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_DOWN, _UP, _BASE = ".lora_A.default.weight", ".lora_B.default.weight", ".base_layer."


def adapter_scaling(module: nn.Module) -> float | None:
    """What the product of an adapter is scaled by, `alpha / rank`; `None` where a module has no adapters."""
    part: Any
    for part in module.modules():
        if hasattr(part, "lora_A") and hasattr(part, "base_layer"):
            return float(part.scaling["default"])
    return None


def plain_state(module: nn.Module) -> dict[str, Tensor] | None:
    """The state of a module with adapters, as `merged` makes it; `None` where it has none."""
    scaling = adapter_scaling(module)
    return None if scaling is None else merged(module.state_dict(), scaling)


def merged(weights: dict[str, Tensor], scaling: float | None) -> dict[str, Tensor]:
    """Weights with their adapters added in: `W + scaling · B A`, under the names of the plain module.

    The product is taken in float64 and the sum rounded once.

    Args:
        weights: A state with adapters, as training holds it.
        scaling: What `adapter_scaling` gave; `None` returns the weights as they are.

    Raises:
        KeyError: If half of an adapter is missing, or all of every adapter.
    """
    if scaling is None:
        return weights
    plain = {}
    for name, tensor in weights.items():
        if name.endswith((_DOWN, _UP)):
            continue
        owner, base, rest = name.rpartition(_BASE)
        if base and rest == "weight":  # what was adapted, and nothing else, is so called
            down, up = weights[owner + _DOWN].double(), weights[owner + _UP].double()
            tensor = torch.add(tensor.double(), up @ down, alpha=scaling).to(tensor.dtype)
        plain[f"{owner}.{rest}" if base else name] = tensor
    return plain
