"""What is said of memory and time follows from what was measured by plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.examine.cost import Cost, costs
from lightning_clf.examine.plan import Plan

GB = 10**9


def cost(available=None, seconds=(), rows=8, **more):
    plan = Plan(20, 100, [[0], [0, 1]], list(range(rows)), [[0]])
    half = GB / 2 / 1.7
    return Cost(plan, torch.device("cpu"), 2 * GB, [half, 2 * half], available, list(seconds), **more)


def memory(measured, by_tokens=False):
    return next(costs(measured, by_tokens=by_tokens, epochs=None))


def test_memory_is_what_is_fixed_and_half_a_gigabyte_a_text():
    finding = memory(cost(10 * GB))
    assert finding.level == "ok"
    assert finding.found == (
        "the largest batch, 8 texts of 100 subwords, takes about 6.00 GB of 10.00 GB that are free, 2.00 GB of it "
        "whatever the batch"
    )
    assert "that are free" not in memory(cost()).found


@pytest.mark.parametrize(("available", "level"), [(6.0, "ok"), (5.99, "error")])
def test_a_batch_fits_up_to_the_last_byte(available, level):
    assert memory(cost(int(available * GB))).level == level


def test_what_would_fit_is_advised():
    assert memory(cost(int(3.6 * GB))).advice == (
        "set data.batch_size to 3 or less, and trainer.accumulate_grad_batches to 3 for as large a step"
    )
    assert "data.batch_tokens to 300 or less" in memory(cost(int(3.6 * GB)), by_tokens=True).advice
    assert "take a smaller encoder" in memory(cost(2 * GB)).advice


def test_a_device_that_ran_out_is_believed():
    finding = memory(cost(10 * GB, ran_out=True))
    assert finding.level == "error"
    assert "ran out of it: set data.batch_size to 4 or less" in str(finding)


def test_a_batch_of_one_text_tells_of_itself_alone():
    plan = Plan(1, 10, [[0], [0]], [0], [[0]])
    assert Cost(plan, torch.device("cpu"), 5, [10, 10], None, []).needed(1) == 5 + 17


def test_time_is_the_mean_of_the_sample_for_each_batch():
    _, finding = costs(cost(seconds=(1.0, 3.0)), by_tokens=False, epochs=3)
    assert finding.found.startswith("an epoch of 20 batches takes about 40 s on cpu, 3 of them 2 min;")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100), st.integers(1, 9))
def test_the_plan_has_the_largest_batch_and_an_even_sample(lengths, size):
    lengths = np.array(lengths)
    batches = [list(range(start, min(start + size, len(lengths)))) for start in range(0, len(lengths), size)]
    plan = Plan.of(batches, lengths)
    padded = [len(batch) * lengths[batch].max() for batch in batches]
    assert plan.batches == len(batches)
    assert sorted(plan.largest) in batches
    assert len(plan.largest) * plan.length == max(padded)
    assert [lengths[rows].max() for rows in plan.slices] == [plan.length] * 2
    assert len(plan.sample) == min(8, len(batches))
    sampled = [len(batch) * lengths[batch].max() for batch in plan.sample]
    assert sampled == sorted(sampled)
    assert (sampled[0], sampled[-1]) in {(min(padded), max(padded)), (max(padded), max(padded))}
