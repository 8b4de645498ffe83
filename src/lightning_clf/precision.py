"""The least precision that scores are compared and summed in, whatever a model computes in."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """Values in at least float32."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
