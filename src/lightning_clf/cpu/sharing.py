"""What processes on CPUs send each other of the gradients of large embeddings: the rows that one of them touched.

An embedding is half of what a small encoder would send, and a batch touches few of its rows: of those of BERT's 30,522
words, 32 short texts touch some hundreds. DDP copies and sends all. Here it is told to leave large embeddings alone,
and the rows touched are sent once a step, which gives the mean that DDP would.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_clf.cpu.embedding import RowGradients, is_large


class SharedEmbeddings:
    """The large embeddings of a network that DDP is about to wrap, and is told to leave alone.

    Args:
        network: What DDP will wrap.
    """

    def __init__(self, network: nn.Module) -> None:
        embeddings = {name: part for name, part in network.named_modules() if isinstance(part, nn.Embedding)}
        self._weights = {f"{name}.weight": part.weight for name, part in embeddings.items() if is_large(part.weight)}
        _have_ddp_ignore(network, self._weights)

    def begin(self) -> None:
        """Have all processes begin with the weights of the first, as DDP does for what it wraps."""
        for weight in self._weights.values():
            dist.broadcast(weight.data, 0)

    def share(self, gradients: RowGradients) -> None:
        """Make gradients their mean over all processes, which take part together.

        Args:
            gradients: Those of this process.
        """
        for weight in self._weights.values():
            if weight.requires_grad:
                gradients.widen(weight, _mean(weight, gradients.rows(weight)))


def leave_to_ddp(network: nn.Module) -> None:
    """Have DDP wrap all of a network, whatever it was told before."""
    _have_ddp_ignore(network, ())


def _have_ddp_ignore(network: nn.Module, names: Iterable[str]) -> None:
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(network, [*names])  # type: ignore[no-untyped-call]


def _mean(weight: Tensor, rows: Tensor | None) -> Tensor:
    """Make a weight's gradient its mean over all processes.

    Args:
        weight: The table of an embedding `[V,H]`.
        rows: Which rows of the gradient may differ from zero in this process; `None` where any may.

    Returns:
        Those that may in any.
    """
    touched = torch.zeros(len(weight), dtype=torch.uint8)
    if weight.grad is not None:
        touched[weight.grad.any(1) if rows is None else rows] = 1
    dist.all_reduce(touched, dist.ReduceOp.MAX)
    union = touched.nonzero().flatten()
    if len(union):
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        sums = weight.grad[union].div_(dist.get_world_size())
        dist.all_reduce(sums)
        weight.grad.index_copy_(0, union, sums)
    return union
