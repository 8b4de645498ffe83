"""The layers of BERT as one function each, and their parts, whose gradients are written by hand.

A step of a small encoder is short enough for what surrounds its products to count: each operation of PyTorch leaves a
node in a graph, what autocast narrows is a node too, and query, key and value are three products whose gradients are
summed up afterwards. Here a layer is one node, or each of its parts is where something else looks at them; the three
are one product, and dropout's scale and the residual are applied at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lightning_clf.cpu import passes
from lightning_clf.cpu.derivative import differentiated_once
from lightning_clf.cpu.passes import Attending, Linear, Norm


class NarrowWeights:
    """Weights in `passes.NARROW`, each narrowed once a step, as autocast does, however often it is read.

    Attributes:
        is_open: Whether a step is being computed, within which they are kept.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._known: dict[tuple[Tensor, ...], tuple[list[int], Tensor]] = {}

    def __reduce__(self) -> tuple[type[NarrowWeights], tuple[()]]:
        """Nothing: a copy has other weights, and nobody to say when its steps end."""
        return NarrowWeights, ()

    def open(self) -> None:
        """Begin a step."""
        self.is_open = True

    def close(self) -> None:
        """End a step, and forget them, as they are about to change."""
        self._known.clear()
        self.is_open = False

    def of(self, *weights: Tensor) -> Tensor:
        """Weights of one shape `[K,…]`, one below the other `[len(weights)·K,…]`."""
        # a weight may be written to amid a step; fused optimisers do so uncounted, but between steps
        versions = [weight._version for weight in weights]
        known = self._known.get(weights)
        if known is None or known[0] != versions:
            self._known[weights] = known = (versions, _joined([weight.detach() for weight in weights]))
        return known[1]

    def linear(self, *layers: nn.Linear) -> Linear:
        """The weights of linear layers of one shape, one below the other."""
        return Linear(self.of(*(layer.weight for layer in layers)), self.of(*(layer.bias for layer in layers)))


def _joined(weights: Sequence[Tensor]) -> Tensor:
    first = weights[0]
    if len(weights) == 1:
        return first.to(passes.NARROW)
    joined = first.new_empty((len(weights) * len(first), *first.shape[1:]), dtype=passes.NARROW)
    for place, weight in zip(joined.chunk(len(weights)), weights, strict=True):
        place.copy_(weight)
    return joined


class Ending(NamedTuple):
    """What a part ends with: a linear layer, dropout, the residual and its norm.

    Attributes:
        linear: The layer.
        norm: The norm.
        p: The probability of dropout, for which `masks.is_between` holds.
    """

    linear: nn.Linear
    norm: nn.LayerNorm
    p: float


def self_attention(
    hidden: Tensor, to_add: Tensor | None, linears: Sequence[nn.Linear], narrow: NarrowWeights, attending: Attending
) -> Tensor:
    """What each token attends to, before it is projected.

    Args:
        hidden: `[N,T,H]`, float32.
        to_add: A mask to add to scores, that broadcasts to `[N,heads,T,T]`.
        linears: Query, key and value, each `H` to `H`.
        narrow: The step's narrow weights.
        attending: How.

    Returns:
        `[N,T,H]`, narrow.
    """
    attended: Tensor = _SelfAttention.apply(  # type: ignore[no-untyped-call]
        hidden, to_add, attending, narrow.linear(*linears), *_weights(linears)
    )
    return attended


def intermediate(hidden: Tensor, linear: nn.Linear, narrow: NarrowWeights) -> Tensor:
    """A linear layer and GELU: `[N,T,H]` in float32 to `[N,T,I]`, narrow."""
    raised: Tensor = _Intermediate.apply(hidden, narrow.linear(linear), linear.weight, linear.bias)  # type: ignore[no-untyped-call]
    return raised


def output(hidden: Tensor, given: Tensor, ending: Ending, narrow: NarrowWeights) -> Tensor:
    """What a part of a layer ends with.

    Args:
        hidden: What the part made, `[N,T,H]` of attention and `[N,T,I]` of a feed-forward part, narrow.
        given: What it made that from, `[N,T,H]`, float32.
        ending: How it ends.
        narrow: The step's narrow weights.

    Returns:
        `[N,T,H]`, float32.
    """
    normal: Tensor = _Output.apply(hidden, given, _end(ending, narrow), *_weights_of(ending))  # type: ignore[no-untyped-call]
    return normal


def layer(
    hidden: Tensor,
    to_add: Tensor | None,
    linears: Sequence[nn.Linear],
    endings: tuple[Ending, Ending],
    narrow: NarrowWeights,
    attending: Attending,
) -> Tensor:
    """A whole layer: `self_attention` and its end, `intermediate` and its end.

    Args:
        hidden: `[N,T,H]`, float32.
        to_add: A mask to add to scores, that broadcasts to `[N,heads,T,T]`.
        linears: Query, key and value, each `H` to `H`, and what raises `H` to `I`.
        endings: How attention and the feed-forward part end.
        narrow: The step's narrow weights.
        attending: How tokens attend to each other.

    Returns:
        `[N,T,H]`, float32.
    """
    *of_attention, raising = linears
    normal: Tensor = _Layer.apply(  # type: ignore[no-untyped-call]
        hidden,
        to_add,
        attending,
        (narrow.linear(*of_attention), narrow.linear(raising)),
        (_end(endings[0], narrow), _end(endings[1], narrow)),
        # in the order in which `backward` has their gradients
        *_weights(of_attention),
        *_weights_of(endings[0]),
        *_weights([raising]),
        *_weights_of(endings[1]),
    )
    return normal


End = tuple[Linear, Norm, float]
"""How a part ends, as `passes` is told it."""


def _end(ending: Ending, narrow: NarrowWeights) -> End:
    linear, norm, p = ending
    return narrow.linear(linear), Norm(norm.weight, norm.bias, norm.eps), p


def _weights(linears: Sequence[nn.Linear]) -> list[Tensor]:
    return [*(linear.weight for linear in linears), *(linear.bias for linear in linears)]


def _weights_of(ending: Ending) -> list[Tensor]:
    return [*_weights([ending.linear]), ending.norm.weight, ending.norm.bias]


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, to_add: Tensor | None, attending: Attending, linear: Linear, *parameters: Tensor
    ) -> Tensor:
        attended, kept = passes.attend_forth(hidden.to(passes.NARROW), to_add, linear, attending)
        ctx.save_for_backward(*kept)
        ctx.attending = attending
        return attended

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, *rest = passes.attend_back(gradients[0], ctx.saved_tensors, ctx.attending)
        return to_hidden, None, None, None, *_thirds(*rest)


class _Intermediate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, linear: Linear, *parameters: Tensor) -> Tensor:
        raised, kept = passes.raise_forth(hidden.to(passes.NARROW), linear)
        ctx.save_for_backward(*kept)
        return raised

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, *rest = passes.raise_back(gradients[0], ctx.saved_tensors)
        return to_hidden, None, *rest


class _Output(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, given: Tensor, end: End, *parameters: Tensor) -> Tensor:
        normal, kept = passes.end_forth(hidden, given, *end)
        ctx.save_for_backward(*kept)
        *_, ctx.p = end
        return normal

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_given, *rest = passes.end_back(gradients[0], ctx.saved_tensors, ctx.p)
        return to_hidden, to_given, None, *rest


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        to_add: Tensor | None,
        attending: Attending,
        linears: tuple[Linear, Linear],
        ends: tuple[End, End],
        *parameters: Tensor,
    ) -> Tensor:
        attended, kept = passes.attend_forth(hidden.to(passes.NARROW), to_add, linears[0], attending)
        middle, more = passes.end_forth(attended, hidden, *ends[0])
        raised, further = passes.raise_forth(middle.to(passes.NARROW), linears[1])
        normal, last = passes.end_forth(raised, middle, *ends[1])
        ctx.save_for_backward(*kept, *more, *further, *last)
        ctx.lengths = [len(some) for some in (kept, more, further, last)]
        ctx.attending, ctx.ps = attending, [p for _, _, p in ends]
        return normal

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        kept, more, further, last = (tuple(islice(saved, length)) for length in ctx.lengths)
        to_raised, to_middle, *of_last = passes.end_back(gradients[0], last, ctx.ps[1])
        to_states, *of_raising = passes.raise_back(to_raised, further)
        to_attended, to_hidden, *of_end = passes.end_back(to_middle.add_(to_states), more, ctx.ps[0])
        to_states, *of_attention = passes.attend_back(to_attended, kept, ctx.attending)
        to_parameters = (*_thirds(*of_attention), *of_end, *of_raising, *of_last)
        return to_hidden.add_(to_states), None, None, None, None, *to_parameters


def _thirds(weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Of weights that are one below the other, those of query, key and value, and their biases."""
    return *weight.chunk(3), *bias.chunk(3)
