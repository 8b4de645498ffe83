"""From gradients of sums to gradients of one mean, over every process and accumulated batch."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lightning_clf.losses import LossTerms


def mean_of_all(terms: LossTerms, trainer: Trainer) -> Tensor:
    """The share of this process in the mean over all of them, times their number: DDP takes the mean of shares."""
    processes = trainer.world_size
    if processes == 1:
        return terms.mean
    weight = trainer.strategy.reduce(terms.weight.detach().clone(), reduce_op="sum")
    return LossTerms(terms.total * processes, torch.as_tensor(weight)).mean


class GradientMean:
    """Keeps the weight of the losses whose gradients are being summed, and divides by it before they are used.

    No buffer, which a half precision would round and DDP would overwrite.
    """

    def __init__(self) -> None:
        self.weight: Tensor | None = None

    def start(self, terms: LossTerms, trainer: Trainer) -> Tensor:
        """Take in the loss of a batch.

        Returns:
            What is to be backpropagated: the total, or at once the mean where no other batch has a share in it.
        """
        if trainer.accumulate_grad_batches == 1:
            return mean_of_all(terms, trainer)
        weight = terms.weight.detach()
        self.weight = weight if self.weight is None else self.weight + weight
        return terms.total

    def apply(self, module: LightningModule) -> None:
        """Divide the module's gradients, and start anew.

        Lightning has divided by the number of accumulated batches, and DDP by the number of ranks: a mean of means,
        which is wrong where batches differ in words or weights. Both are undone, and the true weight divides.
        """
        if self.weight is None:
            return  # a training_step of the user's own, which backpropagates what it means to
        trainer = module.trainer
        weight = torch.as_tensor(self.weight, dtype=torch.float32, device=module.device)
        if trainer.world_size > 1:
            weight = trainer.strategy.reduce(weight, reduce_op="sum")
        factor = trainer.world_size * trainer.accumulate_grad_batches * _reciprocal(weight)
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        self.weight = None


def _reciprocal(weight: Tensor) -> Tensor:
    return (1 / weight).where(weight > 0, 0.0)  # a weight of nothing goes with gradients of nothing
