"""Rows that processes share have the mean that DDP gives, whoever touched which, and whatever came before.

The test runs this file as a script, once a process.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from multiprocessing import get_context

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from lightning_clf.cpu import CheapStep, RowGradients, SharedEmbeddings, embedding
from lightning_clf.finetuning import adamw
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
    """Embeddings: one looked up twice, one frozen at first, one a linear layer's too, one that is no `nn.Embedding`."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(WORDS, WIDTH)
        self.late = nn.Embedding(WORDS, WIDTH).requires_grad_(False)
        self.again = nn.Embedding(WORDS, WIDTH)
        self.again.weight = self.words.weight
        self.tied = nn.Embedding(WORDS, WIDTH)
        self.bare = nn.Parameter(torch.randn(WORDS, WIDTH))
        self.out = nn.Linear(WIDTH, WORDS, bias=False)
        self.out.weight = self.tied.weight

    def forward(self, words: list[int] | None, penalty: bool) -> torch.Tensor:
        if words is None:
            return self.bare[0].sum()
        places = torch.tensor(words)
        read = self.words(places) + self.late(places) * self.again(places.flip(0)) + self.tied(places)
        total = torch.tanh(self.out(read + functional.embedding(places, self.bare))).sum()
        return total + self.words.weight.square().sum() if penalty else total


@pytest.mark.process
@pytest.mark.parametrize("accumulated", [1, 2])
def test_steps_of_two_processes_are_those_of_ddp(accumulated):
    run_script("tests.cpu.test_sharing", accumulated)


def test_what_ddp_was_told_is_taken_back(monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    network = Network(0)
    shared = SharedEmbeddings(network)
    ignored = {"words.weight", "again.weight", "late.weight", "tied.weight", "out.weight"}
    assert set(network._ddp_params_and_buffers_to_ignore) == ignored
    assert len(shared.weights) == 3
    shared.release()
    assert not network._ddp_params_and_buffers_to_ignore
    assert not any(hasattr(weight, "_ddp_ignored") for weight in network.parameters())


def test_ddp_is_left_an_embedding_that_alone_moves(monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    network = Network(0)
    network.bare.requires_grad_(False)
    assert not SharedEmbeddings(network).weights
    assert not network._ddp_params_and_buffers_to_ignore


def train(*, ours: bool, rank: int, clip: float, accumulated: int) -> list[torch.Tensor]:
    """Every weight after every step, of a network that only the first process has right from the start."""
    network = Network(rank)
    shared = SharedEmbeddings(network) if ours else None
    if shared is None:
        network.late.requires_grad_(True)  # which DDP has to know from the start
    wrapped = DistributedDataParallel(network, find_unused_parameters=True)
    if shared is not None:
        shared.begin()
    optimizer = adamw(network, 0.1, 0.1, [{"params": [*network.parameters()], "weight_decay": 0.1}])
    step = CheapStep(RowGradients(shared.weights)) if ours else None
    seen = []
    for number, words in enumerate([*STEPS, *reversed(STEPS)]):
        is_last = number % accumulated == accumulated - 1
        is_late = number >= 4
        network.late.requires_grad_(is_late or not ours)
        with nullcontext() if is_last else wrapped.no_sync():
            with step or nullcontext():
                loss = wrapped(words[rank], penalty=number == 5 + rank)
            loss.backward()
        if not is_last:
            continue
        if not is_late:
            network.late.weight.grad = None
        if step is None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        else:
            shared.share(step.rows)
            step.clip_gradients(optimizer, clip)
        optimizer.step()
        optimizer.zero_grad()
        seen += [one.detach().clone() for one in network.parameters()]
    return seen


def run(rank: int, port: int, accumulated: int) -> None:
    embedding._LARGE = 1
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for clip in (0.5, 1e6):
        pair = (train(ours=ours, rank=rank, clip=clip, accumulated=accumulated) for ours in (True, False))
        for number, (ours, theirs) in enumerate(zip(*pair, strict=True)):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5, msg=lambda said, at=number: f"{at}: {said}")
    dist.destroy_process_group()


if __name__ == "__main__":
    port = free_port()
    other = get_context("spawn").Process(target=run, args=(1, port, int(sys.argv[1])))
    other.start()
    run(0, port, int(sys.argv[1]))
    other.join()
    sys.exit(other.exitcode)
