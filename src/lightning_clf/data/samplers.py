"""Which rows a process sees, and in which order.

Both samplers are `DistributedSampler`s by type, so that Lightning leaves them alone whatever
`use_distributed_sampler` says. Its own repeats rows to even out the processes, which makes scores wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from torch.utils.data import DistributedSampler


class ShuffleSampler(DistributedSampler[Any]):
    """Every row once an epoch in a new order, which follows from the seed and the epoch.

    Processes take turns through one order and are all given the same number of rows, so that they take the same number
    of steps: where they do not come out even, up to `num_replicas - 1` rows from the start of the order are repeated.

    Args:
        rows: What to draw from.
        num_replicas: How many processes there are.
        rank: Which of them this is.
        seed: Which order.
    """

    def __init__(self, rows: Sized, num_replicas: int, rank: int, seed: int) -> None:
        super().__init__(rows, num_replicas, rank, shuffle=True, seed=seed, drop_last=False)  # type: ignore[arg-type]


class ShardSampler(DistributedSampler[Any]):
    """Every row exactly once over all processes, in order, without padding: for evaluation.

    Args:
        rows: What to draw from.
        num_replicas: How many processes there are.
        rank: Which of them this is.
    """

    def __init__(self, rows: Sized, num_replicas: int, rank: int) -> None:
        super().__init__(rows, num_replicas, rank, shuffle=False)  # type: ignore[arg-type]
        self.rows = range(rank, len(rows), num_replicas)

    def __iter__(self) -> Iterator[int]:
        """The rows of this process."""
        return iter(self.rows)

    def __len__(self) -> int:
        """How many they are."""
        return len(self.rows)
