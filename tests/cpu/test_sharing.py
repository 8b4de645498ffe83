"""Rows that processes share have the mean that DDP gives, whoever touched which, and whatever came before.

The test runs this file as a script, once a process.
"""

from __future__ import annotations

import sys
from multiprocessing import get_context

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from lightning_clf.cpu import CheapStep, SharedEmbeddings, embedding, leave_to_ddp
from tests.processes import free_port, run_script

WORDS, WIDTH = 13, 4
# of each of two processes, the words of a step: the same, others, some, many; `None`: it computes on none
STEPS = [
    ([1, 2, 2], [1, 2, 2]),
    ([3], [4, 5, 0]),
    (None, [6, 1]),
    ([7, 8], None),
    (None, None),
    ([*range(13)], [12]),
    ([1], [1]),
]


class Network(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(WORDS, WIDTH)
        self.frozen = nn.Embedding(WORDS, WIDTH).requires_grad_(False)
        self.out = nn.Linear(WIDTH, 1)

    def forward(self, words: list[int] | None, penalty: bool) -> torch.Tensor:
        if words is None:
            return self.out.weight.sum()
        places = torch.tensor(words)
        total = torch.tanh(self.out(self.words(places) + self.frozen(places))).sum()
        return total + self.words.weight.square().sum() if penalty else total


@pytest.mark.process
def test_steps_of_two_processes_are_those_of_ddp():
    run_script("tests.cpu.test_sharing")


@pytest.mark.process
def test_what_ddp_was_told_can_be_taken_back(monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    network = Network(0)
    SharedEmbeddings(network)
    assert set(network._ddp_params_and_buffers_to_ignore) == {"words.weight", "frozen.weight"}
    leave_to_ddp(network)
    assert not network._ddp_params_and_buffers_to_ignore


def train(*, ours: bool, rank: int, clip: float) -> list[torch.Tensor]:
    """Every weight after every step, of a network that only the first process has right from the start."""
    network = Network(rank)
    shared = SharedEmbeddings(network) if ours else None
    wrapped = DistributedDataParallel(network, find_unused_parameters=True)
    if shared is not None:
        shared.begin()
    optimizer = AdamW([one for one in network.parameters() if one.requires_grad], lr=0.1, weight_decay=0.1)
    step = CheapStep(keeps_gradients=ours, shared=shared)
    seen = []
    for number, words in enumerate([*STEPS, *reversed(STEPS)]):
        with step:
            loss = wrapped(words[rank], penalty=number == 5 + rank)
        loss.backward()
        step.share_gradients()
        step.clip_gradients(optimizer, clip)
        optimizer.step()
        optimizer.zero_grad()
        seen += [one.detach().clone() for one in network.parameters()]
    return seen


def run(rank: int, port: int) -> None:
    embedding._LARGE = 1
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for clip in (0.5, 1e6):
        for ours, theirs in zip(
            train(ours=True, rank=rank, clip=clip), train(ours=False, rank=rank, clip=clip), strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    dist.destroy_process_group()


if __name__ == "__main__":
    port = free_port()
    other = get_context("spawn").Process(target=run, args=(1, port))
    other.start()
    run(0, port)
    other.join()
    sys.exit(other.exitcode)
