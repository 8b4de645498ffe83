"""Whose batch a step takes: exact numbers of each task, every row before any again, alike on all processes."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_clf.data.batching import Room, TrainBatches
from lightning_clf.data.joining import joined
from lightning_clf.data.mixing import MixedBatches, quotas
from lightning_clf.data.position import Position


def mixed(sizes, counts=None, together=False, processes=1, rank=0, position=None):
    streams = [TrainBatches(size, Room(2), processes, rank, Position(number)) for number, size in enumerate(sizes)]
    counts = counts or [len(stream) for stream in streams]
    return MixedBatches(streams, counts, together=together, position=position or Position(0))


def test_shares_by_weight():
    assert quotas([30, 10], [30, 10]) == [30, 10]
    assert quotas([90, 10], [90**0.5, 10**0.5]) == [75, 25]
    assert quotas([90, 10], [1, 3]) == [25, 75]
    assert quotas([1000, 1], [1000, 1e-9]) == [1001, 1]


@given(
    sizes=st.lists(st.integers(2, 17), min_size=1, max_size=4),
    counts=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    epochs=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_every_row_of_a_stream_is_seen_before_any_is_seen_again(sizes, counts, epochs):
    counts = counts[: len(sizes)]
    steps = mixed(sizes, counts)
    served = [step for epoch in range(epochs) for step in steps.steps_of(epoch)]
    assert len(served) == epochs * len(steps) == epochs * sum(counts)
    for number, size in enumerate(sizes):
        batches = [rows for step in served for stream, rows in step if stream == number]
        assert len(batches) == epochs * counts[number]
        each = -(-size // 2)
        for start in range(0, len(batches) - each + 1, each):
            assert sorted(row for rows in batches[start : start + each] for row in rows) == list(range(size))


def test_what_is_drawn_for_a_batch_is_another_in_each_round_and_the_same_for_a_run_that_goes_on():
    steps = mixed([6, 4], [5, 2])  # the first begins anew amid each epoch
    draws = [[rows.draw for _, rows in step] for epoch in (0, 1, 2) for step in steps.steps_of(epoch)]
    each = [rows.draw for epoch in (0, 1, 2) for step in steps.steps_of(epoch) for stream, rows in step if stream == 0]
    assert len(set(each)) == len(each) == 15
    rest = mixed([6, 4], [5, 2], position=Position(0, epoch=1, batches=3))
    rest.set_epoch(1)
    assert [[rows.draw for _, rows in step] for step in rest] == draws[10:14]


def test_steps_of_one_task_are_spread_over_the_epoch_in_an_order_of_its_own():
    steps = mixed([20, 20])
    orders = [[step[0][0] for step in steps.steps_of(epoch)] for epoch in (0, 1)]
    assert all(Counter(order) == {0: 10, 1: 10} for order in orders)
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_together_every_step_has_a_batch_of_each():
    steps = mixed([8, 4, 2], [4, 4, 4], together=True)
    assert len(steps) == 4
    served = list(steps.steps_of(0))
    assert [[stream for stream, _ in step] for step in served] == [[0, 1, 2]] * 4
    assert sorted(row for step in served for row in step[0][1]) == list(range(8))
    assert Counter(row for step in served for row in step[2][1]) == {0: 4, 1: 4}


@pytest.mark.parametrize("together", [False, True])
def test_processes_take_the_same_tasks_and_share_the_rows(together):
    counts = [7, 7, 7]
    ranks = [mixed([12, 6, 8], counts, together, processes=2, rank=rank) for rank in (0, 1)]
    for one, other in zip(*(steps.steps_of(1) for steps in ranks), strict=True):
        assert [stream for stream, _ in one] == [stream for stream, _ in other]
        for (_, rows), (_, others) in zip(one, other, strict=True):
            assert len(rows) == len(others)
            assert not set(rows) & set(others)


@pytest.mark.parametrize("taken", [0, 1, 5, 8])
def test_it_goes_on_after_any_step(taken):
    whole = list(mixed([9, 5]).steps_of(2))
    steps = mixed([9, 5], position=Position(0, epoch=2, batches=taken))
    assert list(steps) == whole[taken:]
    steps.set_epoch(3)
    assert list(steps) == list(mixed([9, 5]).steps_of(3))


def test_rows_are_sorted_by_the_tasks_that_have_their_text():
    def rows(*texts):
        return Dataset.from_dict({"input_ids": list(texts), "target": list(range(len(texts)))})

    found = joined({"intent": rows([1, 2], [3], [4], [3]), "slots": rows([3], [5], [1, 2])})
    content = {
        tasks: {task: [(row["input_ids"], row["target"]) for row in some] for task, some in each.items()}
        for tasks, each in found.items()
    }
    assert content == {
        ("intent",): {"intent": [([4], 2), ([3], 3)]},
        ("intent", "slots"): {"intent": [([1, 2], 0), ([3], 1)], "slots": [([1, 2], 2), ([3], 0)]},
        ("slots",): {"slots": [([5], 1)]},
    }


def test_texts_that_only_look_alike_are_kept_apart():
    one = Dataset.from_dict({"input_ids": [[1, 2, 3, 4]], "windows": [[2, 2]]})
    other = Dataset.from_dict({"input_ids": [[1, 2, 3, 4]], "windows": [[4]]})
    assert list(joined({"one": one, "other": other})) == [("one",), ("other",)]
