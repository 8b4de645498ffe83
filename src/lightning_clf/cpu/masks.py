"""Dropout masks that cost a CPU little: sixteen random bits an element, and no multiplication.

PyTorch fills a mask with `bernoulli_`, one element at a time (pytorch issue 138199). Here 64 bits are drawn at once and
compared in four lanes. What is computed stays the same but for the probability, which is rounded to a multiple of 2⁻¹⁶:
0.1 becomes 0.100006, and what is kept is scaled by exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor

_LEVELS = 2**16
_LOWEST = -(2**15)
_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # whole numbers as wide as a float, by bytes


_seeded: ContextVar[np.random.SFC64 | None] = ContextVar("_seeded", default=None)


@contextmanager
def seeded_once() -> Iterator[None]:
    """A context whose masks are all drawn from one generator, rather than from one each that is seeded anew."""
    token = _seeded.set(_generator())
    try:
        yield
    finally:
        _seeded.reset(token)


def is_between(p: float) -> bool:
    """Whether a probability is strictly between 0 and 1 once rounded to a multiple of 2⁻¹⁶."""
    return 0 < round(p * _LEVELS) < _LEVELS


def scale_of(p: float) -> float:
    """What is kept is multiplied with this: 1 / (1 − p), with p as rounded."""
    return _LEVELS / (_LEVELS - round(p * _LEVELS))


def draw(shape: torch.Size, p: float) -> Tensor:
    """Draw a mask: int16 of a shape, all bits 0 with probability p, and all bits 1 elsewhere.

    The bits are SFC64's, several times faster than PyTorch's own, seeded by PyTorch's: a seed gives the same masks.

    Args:
        shape: The shape.
        p: The probability, for which `is_between` holds.
    """
    count = shape.numel()
    words = (_seeded.get() or _generator()).random_raw(-(-count // 4))
    lanes = torch.from_numpy(words.view(np.int16)[:count]).view(shape)
    return lanes.ge_(_LOWEST + round(p * _LEVELS)).neg_()


def keep(values: Tensor, mask: Tensor) -> Tensor:
    """The values where a mask that `draw` drew has ones, and 0 elsewhere; not scaled."""
    whole = _WHOLE[values.element_size()]
    return (values.view(whole) & mask.to(whole)).view(values.dtype)


def _generator() -> np.random.SFC64:
    return np.random.SFC64(int(torch.randint(2**63 - 1, ())))
