"""Evaluation sees every row once over all processes; training every row, in an order that follows from the seed."""

import pytest
from torch.utils.data import DistributedSampler

from lightning_clf.data.samplers import ShardSampler, ShuffleSampler


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_shards_partition_the_rows(ranks: int, count: int) -> None:
    shards = [ShardSampler(range(count), ranks, rank) for rank in range(ranks)]
    assert sorted(row for shard in shards for row in shard) == list(range(count))
    assert [len(shard) for shard in shards] == [len(list(shard)) for shard in shards]


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_training_covers_the_rows_in_equal_parts(ranks: int, count: int) -> None:
    parts = [list(ShuffleSampler(range(count), ranks, rank, seed=0)) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    drawn = [row for part in parts for row in part]
    assert set(drawn) == set(range(count))
    assert len(drawn) - count < ranks


def test_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = ShuffleSampler(range(50), 1, 0, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(0, 0)), tuple(order(0, 1)), tuple(order(7, 0))}) == 3


def test_lightning_leaves_them_alone() -> None:
    assert isinstance(ShardSampler(range(3), 2, 0), DistributedSampler)
    assert isinstance(ShuffleSampler(range(3), 2, 0, 0), DistributedSampler)
