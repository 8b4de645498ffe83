"""A small network that is replayed, by what captures work to be done again, which a CPU can."""

from __future__ import annotations

import contextlib
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.gpu import StepGraphs, captured

WARMUPS = captured._WARMUPS


class Net(nn.Module):
    """Weights that are read, with dropout between them, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 3)
        self.unread = nn.Linear(8, 3)
        self.calls = 0

    def compute(self, inputs: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        hidden = self.table(inputs["ids"]) * inputs["mask"][..., None]
        return self.out(functional.dropout(hidden.mean(1), 0.5, self.training))


class Again:
    """Captures work, as CUDA does without doing it, and does it."""

    def __init__(self, device: torch.device) -> None:
        pass

    def __call__(self, work):
        return torch.enable_grad()(work)

    def aside(self):
        return contextlib.nullcontext()


def pair():
    """A network, and a copy that is replayed."""
    torch.manual_seed(0)
    plain = Net()
    replayed = copy.deepcopy(plain)
    return plain, replayed, StepGraphs(replayed, replayed.compute, Again)


def inputs_of(rows: int, length: int) -> dict[str, Tensor]:
    mask = (torch.rand(rows, length) > 0.2).float()
    return {"ids": torch.randint(20, (rows, length)), "mask": mask}


def assert_same_gradients(one: nn.Module, other: nn.Module) -> None:
    for (name, parameter), twin in zip(one.named_parameters(), other.parameters(), strict=True):
        assert (parameter.grad is None) == (twin.grad is None), name
        if parameter.grad is not None:
            torch.testing.assert_close(twin.grad, parameter.grad, rtol=0, atol=0, msg=name)


def seeded(function, *arguments):
    torch.manual_seed(7)
    return function(*arguments)
