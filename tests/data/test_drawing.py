"""An epoch's rows: as many as the factors say, by turns, and never longer than was foreseen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.data.batching import length_tops
from lightning_clf.data.drawing import Drawing, Quotas

FACTORS = st.lists(st.floats(0.05, 4), min_size=1, max_size=4)
GROUPS = st.lists(st.integers(0, 3), min_size=1, max_size=50)
LENGTHS = st.lists(st.integers(1, 40), min_size=50, max_size=50).map(np.array)


def quotas(factors, groups):
    return Quotas(np.array(factors), np.array(groups) % len(factors))


def times(drawing, epoch, count):
    """How often each row is drawn."""
    return np.bincount(drawing.rows(epoch), minlength=count)


@given(FACTORS, GROUPS, st.integers(0, 99), st.booleans(), LENGTHS)
def test_each_group_has_its_share_in_every_epoch(factors, groups, seed, by_length, lengths):
    wanted = quotas(factors, groups)
    drawing = Drawing(wanted, seed, lengths[: len(groups)] if by_length else None)
    for epoch in range(5):
        seen = times(drawing, epoch, len(groups))
        assert seen.sum() == len(drawing) == len(wanted)
        for place, factor in enumerate(factors):
            rows = seen[wanted.group == place]
            if len(rows):
                # by the formula: the nearest whole number of rows, at least one
                expected = max(1, math.floor(factor) * len(rows) + math.floor(factor % 1 * len(rows) + 0.5))
                assert rows.sum() == expected
                assert set(rows) <= {math.floor(factor), math.floor(factor) + 1}


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_over_as_many_epochs_as_rows_all_are_drawn_equally_often(count, part, seed):
    part = min(part, count)
    drawing = Drawing(quotas([1 + part / count], [0] * count), seed)
    total = sum(times(drawing, epoch, count) for epoch in range(count))
    assert (total == count + part).all()


@given(st.integers(1, 40), st.floats(0.02, 1), st.integers(0, 99))
def test_every_row_has_its_turn_soon(count, factor, seed):
    drawing = Drawing(quotas([factor], [0] * count), seed)
    seen = sum(times(drawing, epoch, count) for epoch in range(math.ceil(count / len(drawing))))
    assert (seen > 0).all()


def test_rows_follow_from_seed_and_epoch():
    wanted = quotas([0.5, 2.5], [0] * 40 + [1] * 10)
    draws = [Drawing(wanted, seed).rows(epoch).tolist() for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert draws[0] == draws[1]
    assert len({tuple(sorted(draw)) for draw in draws}) == 3


def test_seeds_choose_every_row_equally_often():
    counts = sum(times(Drawing(quotas([0.25], [0] * 20), seed, np.arange(20)), 0, 20) for seed in range(2000))
    # 2000 draws of 5 of 20: mean 500, standard deviation below √(2000·¼·¾) ≈ 19.4
    assert counts.sum() == 2000 * 5
    assert abs(counts - 500).max() < 4.5 * 19.4


def test_whole_factors_and_none():
    drawing = Drawing(quotas([0, 1, 3], [0, 1, 2]), 5)
    assert [times(drawing, epoch, 3).tolist() for epoch in range(2)] == [[0, 1, 3]] * 2


@given(FACTORS, GROUPS, st.integers(0, 99), LENGTHS)
def test_no_epoch_has_longer_rows_than_was_foreseen(factors, groups, seed, lengths):
    lengths = lengths[: len(groups)]
    drawing = Drawing(quotas(factors, groups), seed, lengths)
    longest = drawing.longest()
    assert len(longest) == len(drawing)
    assert (np.diff(longest) <= 0).all()
    for epoch in range(len(groups)):
        assert (np.sort(lengths[drawing.rows(epoch)])[::-1] <= longest).all()


def test_epochs_have_about_the_same_lengths():
    lengths = length_tops(np.random.default_rng(0).geometric(0.05, 5000).clip(max=128))
    group = np.arange(5000) % 2
    drawing = Drawing(Quotas(np.array([0.13, 1.37]), group), 0, lengths)
    foreseen = drawing.longest().sum()
    sums = np.array([lengths[drawing.rows(epoch)].sum() for epoch in range(50)])
    assert sums.std() < 0.003 * sums.mean()
    assert foreseen < 1.02 * sums.mean()
    # drawn without regard to lengths, epochs differ more than that
    plain = Drawing(Quotas(np.array([0.13, 1.37]), group), 0)
    assert np.std([lengths[plain.rows(epoch)].sum() for epoch in range(50)]) > 3 * sums.std()


def test_lengths_must_be_known_to_foresee_them():
    with pytest.raises(ValueError, match="needs the lengths"):
        Drawing(quotas([1.5], [0, 0]), 0).longest()
