"""Evaluation sees every row once over all processes; training every row, in an order that follows from the seed."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from lightning_clf.data.batching import BatchRows, EvalBatches, TrainBatches, token_lengths
from lightning_clf.data.position import Position

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(np.array)
SIZES = st.integers(1, 9)
RANKS = st.integers(1, 4)


@given(LENGTHS, SIZES, RANKS)
def test_evaluation_sees_every_row_once(lengths, size, ranks):
    parts = [EvalBatches(lengths, size, ranks, rank) for rank in range(ranks)]
    assert sorted(row for part in parts for batch in part for row in batch) == list(range(len(lengths)))
    assert all(len(part) == len(list(part)) for part in parts)
    assert all(1 <= len(batch) <= size for part in parts for batch in part)


@given(LENGTHS, SIZES, RANKS, st.booleans())
def test_training_covers_the_rows_in_equal_parts(lengths, size, ranks, grouped):
    given_lengths = lengths if grouped else None
    parts = [TrainBatches(len(lengths), size, ranks, rank, Position(0), given_lengths) for rank in range(ranks)]
    steps = [list(part) for part in parts]
    assert {len(part) for part in parts} == {len(step) for step in steps}
    # in one step every process has as many rows as any other
    assert all(len({len(batch) for batch in step}) == 1 for step in zip(*steps, strict=True))
    drawn = [row for part in steps for batch in part for row in batch]
    assert set(drawn) == set(range(len(lengths)))
    assert len(drawn) - len(lengths) < ranks
    assert all(1 <= len(batch) <= size for part in steps for batch in part)
    assert sum(len(batch) < size for batch in steps[0]) <= 1


@pytest.mark.parametrize("grouped", [False, True])
def test_order_follows_from_seed_and_epoch(grouped):
    lengths = np.arange(50) % 7

    def order(seed, epoch):
        sampler = TrainBatches(50, 4, 1, 0, Position(seed), lengths if grouped else None)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert len({str(order(0, 0)), str(order(0, 1)), str(order(7, 0))}) == 3
    # not only the order of the batches changes, but which rows meet
    assert sorted(map(sorted, order(0, 0))) != sorted(map(sorted, order(0, 1)))


def padded(lengths, batches):
    return sum(len(batch) * lengths[batch].max() for batch in batches)


def test_grouping_pads_little_and_mixes_long_and_short_batches():
    lengths = np.random.default_rng(0).geometric(0.05, 6000)
    plain, grouped = (list(TrainBatches(6000, 16, 2, 0, Position(0), some)) for some in (None, lengths))
    assert padded(lengths, grouped) < 1.1 * lengths[np.concatenate(grouped)].sum()
    assert padded(lengths, plain) > 2 * lengths[np.concatenate(plain)].sum()
    longest = np.array([lengths[batch].max() for batch in grouped])
    halves = longest[: len(longest) // 2].mean(), longest[len(longest) // 2 :].mean()
    assert abs(halves[0] - halves[1]) < 0.2 * longest.mean()


def test_processes_have_steps_of_about_the_same_cost():
    lengths = np.random.default_rng(1).geometric(0.05, 4000)
    first, second = (list(TrainBatches(4000, 16, 2, rank, Position(0), lengths)) for rank in range(2))
    ratios = [lengths[a].max() / lengths[b].max() for a, b in zip(first, second, strict=True)]
    assert np.median(np.abs(np.log(ratios))) < 0.02


def test_a_limit_on_evaluation_leaves_a_fair_sample():
    lengths = np.random.default_rng(2).geometric(0.05, 4000)
    batches = list(EvalBatches(lengths, 16, 1, 0))
    assert padded(lengths, batches) < 1.1 * lengths.sum()
    some = np.concatenate(batches[: len(batches) // 4])
    assert lengths[some].mean() == pytest.approx(lengths.mean(), rel=0.25)


def test_lengths_and_rows_are_those_of_the_selected_rows():
    rows = Dataset.from_dict({"input_ids": [[1] * count for count in (3, 0, 5, 2)], "target": [7, 8, 9, 10]})
    chosen = rows.select([3, 2, 0])
    assert token_lengths(chosen).tolist() == [2, 5, 3]
    assert token_lengths(rows.select([])).tolist() == []
    assert [row["target"] for row in BatchRows(chosen, 2)[[2, 0]]] == [7, 10]
    assert [row["target"] for batch in range(2) for row in BatchRows(chosen, 2)[batch]] == [10, 9, 7]


def test_lightning_leaves_them_alone():
    assert isinstance(EvalBatches(np.ones(3, int), 2, 2, 0), DistributedSampler)
    assert isinstance(TrainBatches(3, 2, 2, 0, Position(0)), DistributedSampler)


def test_a_run_that_goes_on_takes_the_rest_of_its_epoch_and_the_whole_of_the_next():
    whole, rest = (TrainBatches(50, 4, 1, 0, position) for position in (Position(3), Position(3, epoch=2, batches=5)))
    whole.set_epoch(2)
    assert list(rest) == list(whole)[5:]
    assert len(rest) == len(whole)
    for sampler in (whole, rest):
        sampler.set_epoch(3)
    assert list(rest) == list(whole)
