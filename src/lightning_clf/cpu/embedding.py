"""The gradient of a large embedding, of which a batch touches few rows.

PyTorch makes a new gradient of the whole table at each step: for a vocabulary of 30,522 words and 384 numbers a word,
47 MB of zeros, among which at most a few hundred rows are not. Here one table is kept, and of it only the rows that the
last step wrote are set to zero.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.cpu.derivative import differentiated_once

_LARGE = 2**20
"""Elements from which on it pays: 4 MB of float32."""


def is_large(weight: Tensor) -> bool:
    """Whether an embedding's weight is one whose rows are looked after."""
    return isinstance(weight, nn.Parameter) and weight.numel() >= _LARGE


class RowGradient:
    """Sums the gradient of one embedding's weight in a table that stays.

    The table is `weight.grad` while there is a gradient, so that clipping and optimisers find it in its usual place.

    Args:
        weight: The table of the embedding `[V,H]`.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self._table = torch.zeros_like(weight)
        self._touched: Tensor | None = None
        self._foreign = _Foreign()
        handle = weight.register_hook(self._foreign.see)  # type: ignore[no-untyped-call]
        weakref.finalize(self, handle.remove)

    def add(self, ids: Tensor, gradient: Tensor) -> None:
        """Add the gradient of a look-up.

        Args:
            ids: Which rows were looked up, `[K]`, each once.
            gradient: The gradient of each `[K,H]`.
        """
        if self._weight.grad is None:
            self._clear()
            self._weight.grad = self._table
        self._touched = ids if self._touched is None else torch.cat([self._touched, ids]).unique()  # type: ignore[no-untyped-call]
        self._weight.grad.index_add_(0, ids, gradient)

    def widen(self, rows: Tensor) -> None:
        """Take in which rows may differ from zero now, as other processes touched more.

        Args:
            rows: All of them, each once.
        """
        if self.rows() is not None:
            self._touched = rows

    def rows(self) -> Tensor | None:
        """Which rows of `weight.grad` may differ from zero, each once; `None` where any may."""
        is_ours = self._weight.grad is self._table and not self._foreign.seen
        return self._touched if is_ours else None

    def _clear(self) -> None:
        if self._foreign.seen:
            self._table.zero_()
        elif self._touched is not None:
            self._table.index_fill_(0, self._touched, 0.0)
        self._touched, self._foreign.seen = None, False


class _Foreign:
    """Whether a gradient came another way, as of a penalty on the weights: it may touch any row."""

    def __init__(self) -> None:
        self.seen = False

    def see(self, gradient: Tensor | None) -> None:
        if gradient is not None:  # a look-up of ours hands none on
            self.seen = True


class RowGradients:
    """The gradients of a network's large embeddings.

    Args:
        only: The weights whose gradients are looked after here; `None` is all, which is for one process alone: what
            another adds to a gradient would come to rows that are not known to be touched.
    """

    def __init__(self, only: Collection[Tensor] | None = None) -> None:
        self._only = None if only is None else frozenset(only)
        self._by_weight: dict[Tensor, RowGradient] = {}

    def rows(self, weight: Tensor) -> Tensor | None:
        """Which rows of a weight's gradient may differ from zero, each once; `None` where any may."""
        kept = self._by_weight.get(weight)
        return None if kept is None else kept.rows()

    def widen(self, weight: Tensor, rows: Tensor) -> None:
        """Take in which rows of a weight's gradient may differ from zero now, as other processes touched more."""
        if weight in self._by_weight:
            self._by_weight[weight].widen(rows)

    def embedding(
        self,
        input: Tensor,
        weight: Tensor,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Tensor:
        """Takes the place of `torch.nn.functional.embedding`: ids `[…]` to rows `[…,H]`."""
        is_plain = max_norm is None and not scale_grad_by_freq and not sparse
        is_ours = is_large(weight) and (self._only is None or weight in self._only)
        if not (is_plain and is_ours and weight.requires_grad and torch.is_grad_enabled()):
            return functional.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        if weight not in self._by_weight:
            self._by_weight[weight] = RowGradient(weight)
        kept = self._by_weight[weight]
        rows: Tensor = _Embedding.apply(weight, input, padding_idx, kept)  # type: ignore[no-untyped-call]
        return rows


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding_idx: int | None, gradient: RowGradient) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.padding_idx, ctx.gradient, ctx.size = padding_idx, gradient, len(weight)
        return functional.embedding(ids, weight)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        (ids,) = ctx.saved_tensors
        rows, places = ids.unique(return_inverse=True)
        # PyTorch's own sum, over a table that holds no other rows
        sums = torch.ops.aten.embedding_dense_backward(gradients[0], places, len(rows), -1, False)
        if ctx.padding_idx is not None:
            sums.masked_fill_((rows == ctx.padding_idx % ctx.size)[:, None], 0.0)
        ctx.gradient.add(rows, sums)
        return None, None, None, None
