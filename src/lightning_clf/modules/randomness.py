"""The state of random numbers, so that a run goes on with the dropout it would have had."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, distributed

States = list[dict[str, Tensor]]


def random_states(trainer: Trainer) -> States:
    """The state of every process, by rank. All processes must ask together."""
    own = {"cpu": torch.get_rng_state()}
    if trainer.strategy.root_device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(trainer.strategy.root_device)
    if trainer.world_size == 1:
        return [own]
    states: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(states, own)
    return states


def set_random_state(trainer: Trainer, states: States) -> None:
    """Put this process's state back. With another number of processes there is none to put back: the seed's stands."""
    if len(states) != trainer.world_size:
        return
    own = states[trainer.global_rank]
    torch.set_rng_state(own["cpu"])
    if "cuda" in own and trainer.strategy.root_device.type == "cuda":
        torch.cuda.set_rng_state(own["cuda"], trainer.strategy.root_device)
