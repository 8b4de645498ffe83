"""What processes on CPUs send each other of the gradients of large embeddings: the rows that one of them touched.

An embedding is half of what a small encoder would send, and a batch touches few of its rows: of those of BERT's 30,522
words, 32 short texts touch some hundreds. DDP copies and sends all. Here it is told to leave large embeddings alone,
and the rows touched are sent once a step, which gives the mean that DDP would.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_clf.cpu.embedding import RowGradients, is_large


class SharedEmbeddings:
    """The large embeddings of a network that DDP is about to wrap, and is told to leave alone until they are released.

    Args:
        network: What DDP will wrap. Where nothing else of it moves DDP is left all, since it refuses to have none.
    """

    def __init__(self, network: nn.Module) -> None:
        tables = {part.weight for part in network.modules() if isinstance(part, nn.Embedding) and is_large(part.weight)}
        if all(weight in tables for weight in network.parameters() if weight.requires_grad):
            tables = set()
        named = [
            (name, weight) for name, weight in network.named_parameters(remove_duplicate=False) if weight in tables
        ]
        self.weights = list(dict.fromkeys(weight for _, weight in named))  # in the same order in every process
        self._network = network
        _have_ddp_ignore(network, [name for name, _ in named])

    def begin(self) -> None:
        """Have all processes begin with the weights of the first, as DDP does for what it wraps."""
        for weight in self.weights:
            dist.broadcast(weight.data, 0)

    def share(self, gradients: RowGradients) -> None:
        """Make gradients their mean over all processes, which take part together.

        Args:
            gradients: What is known of those of this process.
        """
        for weight in self.weights:
            if weight.requires_grad:
                gradients.widen(weight, _mean(weight, gradients.rows(weight)))

    def release(self) -> None:
        """Leave the embeddings to DDP again, for whoever wraps the network next."""
        _have_ddp_ignore(self._network, [])
        for weight in self.weights:
            vars(weight).pop("_ddp_ignored", None)


def _have_ddp_ignore(network: nn.Module, names: list[str]) -> None:
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(network, names)  # type: ignore[no-untyped-call]


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
