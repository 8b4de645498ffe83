"""Pairs of few rows: which there are, and how often an epoch has each."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_clf.data.batching import Room, TrainBatches
from lightning_clf.data.drawing import Drawing
from lightning_clf.data.pairs import Pairs
from lightning_clf.data.position import Position
from lightning_clf.labels import LabelSpace
from tests.training import complaint


def single(*counts: int) -> tuple[Dataset, LabelSpace]:
    """Encoded rows with so many of each class."""
    targets = [label for label, count in enumerate(counts) for _ in range(count)]
    return Dataset.from_dict({"target": targets}), LabelSpace.of("abcdefgh"[: max(2, len(counts))], "single")


def epoch(pairs: Pairs, number: int = 0) -> Counter[tuple[int, int]]:
    """How often an epoch has each pair of rows."""
    drawn = Drawing(pairs.quotas, seed=0).rows(number)
    return Counter(map(tuple, pairs.rows[drawn].tolist()))


def test_pairs_are_distinct_where_setfits_own_have_each_row_with_itself():
    rows, labels = single(8, 8, 8)
    pairs = Pairs.of(rows, labels)
    assert (int(pairs.positive.sum()), int((~pairs.positive).sum())) == (84, 192)
    assert {tuple(pair) for pair in pairs.rows.tolist()} == set(combinations(range(24), 2))
    sampler = pytest.importorskip("setfit.sampler")
    theirs = sampler.ContrastiveDataset(
        [str(row) for row in range(24)], rows["target"][:], multilabel=False, sampling_strategy="unique"
    )
    assert (len(theirs.pos_pairs), len(theirs.neg_pairs)) == (108, 192)
    both = theirs.pos_pairs + theirs.neg_pairs
    distinct = {tuple(sorted((int(pair["sentence_1"]), int(pair["sentence_2"])))) for pair in both}
    assert {pair for pair in distinct if pair[0] != pair[1]} == {tuple(pair) for pair in pairs.rows.tolist()}


def test_an_epoch_has_as_many_positive_pairs_as_negative_ones_and_as_many_of_each_class():
    rows, labels = single(8, 8, 8)
    pairs = Pairs.of(rows, labels)
    seen = epoch(pairs)
    target = rows["target"][:]
    by_classes = Counter()
    for (first, second), times in seen.items():
        by_classes[target[first], target[second]] += times
    assert by_classes == dict.fromkeys([(a, b) for a in range(3) for b in range(a, 3)], 160)
    assert set(seen) == set(combinations(range(24), 2))
    assert {seen[pair] for pair in seen if target[pair[0]] == target[pair[1]]} == {5, 6}


def test_the_budget_bounds_an_epoch_and_all_pairs_have_their_turn():
    rows, labels = single(8, 8, 8)
    pairs = Pairs.of(rows, labels, budget=100)
    epochs = [epoch(pairs, number) for number in range(10)]
    assert [sum(seen.values()) for seen in epochs] == [100] * 10
    assert all(max(seen.values()) == 1 for seen in epochs)
    assert set().union(*epochs) == set(combinations(range(24), 2))


def test_a_budget_below_the_number_of_groups_leaves_none_out_for_good():
    rows, labels = single(*[3] * 8)  # 28 pairs of classes
    pairs = Pairs.of(rows, labels, budget=8)
    assert set().union(*(epoch(pairs, number) for number in range(80))) == set(combinations(range(24), 2))


def test_frequent_classes_do_not_fill_an_epoch():
    rows, labels = single(40, 4)
    pairs = Pairs.of(rows, labels)
    seen = epoch(pairs)
    positive = {pair: times for pair, times in seen.items() if (pair[0] < 40) == (pair[1] < 40)}
    rare = {pair: times for pair, times in positive.items() if pair[0] >= 40}
    assert sum(seen.values()) == 2 * sum(positive.values()) <= 40 * 44
    assert set(rare.values()) == {10}  # of 6 pairs no more than ten times each, and the rest to those that have more
    assert sum(positive.values()) == 20 * 44


def test_many_labels_share_one_or_none_and_rows_without_any_are_compared_with_those_that_have_some():
    rows = Dataset.from_dict({"target": [[0], [0, 1], [1], [], [], [0, 1, 2], [2]]})
    pairs = Pairs.of(rows, LabelSpace.of("abc", "multi"))
    positive = {tuple(pair) for pair in pairs.rows[pairs.positive].tolist()}
    assert positive == {(0, 1), (0, 5), (1, 2), (1, 5), (2, 5), (5, 6)}
    assert {tuple(pair) for pair in pairs.rows.tolist()} == set(combinations(range(7), 2)) - {(3, 4)}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=6), st.integers(2, 400), st.integers(0, 3))
def test_any_counts(counts, budget, number):
    if sum(count > 0 for count in counts) < 2 or max(counts) < 2:
        return
    rows, labels = single(*counts)
    pairs = Pairs.of(rows, labels, budget)
    seen = epoch(pairs, number)
    target = rows["target"][:]
    positive = sum(times for pair, times in seen.items() if target[pair[0]] == target[pair[1]])
    assert positive == sum(seen.values()) - positive
    assert 2 <= sum(seen.values()) <= budget
    assert max(seen.values()) <= 10
    assert sum(seen.values()) == len(pairs.quotas)


def test_processes_share_each_batch_and_take_as_many_steps():
    rows, labels = single(8, 8, 8)
    pairs = Pairs.of(rows, labels)
    taken = [
        list(TrainBatches(len(pairs), Room(16), 3, rank, Position(0), None, Drawing(pairs.quotas, 0)))
        for rank in range(3)
    ]
    assert [len(batches) for batches in taken] == [20, 20, 20]
    drawn = Counter(number for batches in taken for batch in batches for number in batch)
    assert drawn == Counter(np.asarray(Drawing(pairs.quotas, 0).rows(0)).tolist())


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((1, 1, 1), "no two rows of train share a label, of which pairs are made: set data.shots to 2 or more"),
        ((5,), "no two rows of train differ in their labels, of which pairs are made"),
        ((1500, 501), "train has 2001 rows, and pairs are drawn of 2000 at most: set data.shots"),
    ],
)
def test_refusals(counts, message):
    assert complaint(lambda: Pairs.of(*single(*counts))).startswith(message)
