"""Evaluation sees every row once over all processes; training every row, in an order that follows from the seed."""

import pickle
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from lightning_clf.data.batching import BatchRows, EvalBatches, Room, TrainBatches, length_tops, token_lengths
from lightning_clf.data.drawing import Drawing, Quotas
from lightning_clf.data.position import Position

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(np.array)
SIZES = st.integers(1, 9)
RANKS = st.integers(1, 4)


@given(LENGTHS, SIZES, RANKS)
def test_evaluation_sees_every_row_once(lengths, size, ranks):
    parts = [EvalBatches(lengths, Room(size), ranks, rank) for rank in range(ranks)]
    assert sorted(row for part in parts for batch in part for row in batch) == list(range(len(lengths)))
    assert all(len(part) == len(list(part)) for part in parts)
    assert all(len(batch) <= size for part in parts for batch in part)
    # a process without a row has one batch of none: without any, Lightning would leave it out, and the others wait
    assert all(len(part) == 1 or all(part) for part in parts)


@given(LENGTHS, SIZES, RANKS, st.booleans())
def test_training_covers_the_rows_in_equal_parts(lengths, size, ranks, grouped):
    given_lengths = lengths if grouped else None
    parts = [TrainBatches(len(lengths), Room(size), ranks, rank, Position(0), given_lengths) for rank in range(ranks)]
    steps = [list(part) for part in parts]
    assert {len(part) for part in parts} == {len(step) for step in steps}
    # in one step every process has as many rows as any other
    assert all(len({len(batch) for batch in step}) == 1 for step in zip(*steps, strict=True))
    drawn = [row for part in steps for batch in part for row in batch]
    assert set(drawn) == set(range(len(lengths)))
    assert len(drawn) - len(lengths) < ranks
    assert all(1 <= len(batch) <= size for part in steps for batch in part)
    assert sum(len(batch) < size for batch in steps[0]) <= 1


TOKENS = st.integers(40, 200)


@given(LENGTHS, TOKENS, RANKS)
def test_evaluation_by_tokens_sees_every_row_once(lengths, tokens, ranks):
    parts = [EvalBatches(lengths, Room(1, tokens), ranks, rank) for rank in range(ranks)]
    assert sorted(row for part in parts for batch in part for row in batch) == list(range(len(lengths)))
    assert all(padded(lengths, [batch]) <= tokens for part in parts for batch in part)


@given(LENGTHS, TOKENS, RANKS, st.integers(0, 3))
def test_training_by_tokens_keeps_to_them_in_equal_parts(lengths, tokens, ranks, epoch):
    room = Room(1, tokens)
    parts = [TrainBatches(len(lengths), room, ranks, rank, Position(0, epoch), lengths) for rank in range(ranks)]
    steps = [list(part) for part in parts]
    # the same number in every epoch, so that a schedule can be made
    first = TrainBatches(len(lengths), room, ranks, 0, Position(0), lengths)
    assert {len(part) for part in parts} == {len(step) for step in steps} == {len(first)}
    assert all(len({len(batch) for batch in step}) == 1 for step in zip(*steps, strict=True))
    drawn = [row for part in steps for batch in part for row in batch]
    assert set(drawn) == set(range(len(lengths)))
    assert len(drawn) - len(lengths) < ranks
    assert all(0 < padded(lengths, [batch]) <= tokens for part in steps for batch in part)


def test_batches_by_tokens_are_full_and_pad_little():
    lengths = np.random.default_rng(0).geometric(0.05, 6000).clip(max=128)
    batches = list(TrainBatches(6000, Room(1, 1024), 1, 0, Position(0), lengths))
    areas = np.array([padded(lengths, [batch]) for batch in batches])
    assert areas.mean() > 0.85 * 1024
    assert areas.sum() < 1.1 * lengths.sum()


def test_rows_without_lengths_cannot_be_batched_by_tokens():
    with pytest.raises(ValueError, match="needs the lengths"):
        TrainBatches(3, Room(1, 64), 1, 0, Position(0))


@given(LENGTHS)
def test_lengths_are_rounded_up_by_an_eighth_at_most(lengths):
    tops = length_tops(lengths)
    assert (lengths <= tops).all()
    assert (tops < 1.125 * lengths + 1).all()


@pytest.mark.parametrize(("grouped", "tokens"), [(False, None), (True, None), (True, 24)])
def test_order_follows_from_seed_and_epoch(grouped, tokens):
    lengths = np.arange(50) % 7

    def order(seed, epoch):
        sampler = TrainBatches(50, Room(4, tokens), 1, 0, Position(seed), lengths if grouped else None)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert len({str(order(0, 0)), str(order(0, 1)), str(order(7, 0))}) == 3
    # not only the order of the batches changes, but which rows meet
    assert sorted(map(sorted, order(0, 0))) != sorted(map(sorted, order(0, 1)))


def padded(lengths, batches):
    return sum(len(batch) * lengths[batch].max(initial=0) for batch in batches)


def test_grouping_pads_little_and_mixes_long_and_short_batches():
    lengths = np.random.default_rng(0).geometric(0.05, 6000)
    plain, grouped = (list(TrainBatches(6000, Room(16), 2, 0, Position(0), some)) for some in (None, lengths))
    assert padded(lengths, grouped) < 1.1 * lengths[np.concatenate(grouped)].sum()
    assert padded(lengths, plain) > 2 * lengths[np.concatenate(plain)].sum()
    longest = np.array([lengths[batch].max() for batch in grouped])
    halves = longest[: len(longest) // 2].mean(), longest[len(longest) // 2 :].mean()
    assert abs(halves[0] - halves[1]) < 0.2 * longest.mean()


def test_processes_have_steps_of_about_the_same_cost():
    lengths = np.random.default_rng(1).geometric(0.05, 4000)
    first, second = (list(TrainBatches(4000, Room(16), 2, rank, Position(0), lengths)) for rank in range(2))
    ratios = [lengths[a].max() / lengths[b].max() for a, b in zip(first, second, strict=True)]
    assert np.median(np.abs(np.log(ratios))) < 0.02


def test_a_limit_on_evaluation_leaves_a_fair_sample():
    lengths = np.random.default_rng(2).geometric(0.05, 4000)
    batches = list(EvalBatches(lengths, Room(16), 1, 0))
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
    assert isinstance(EvalBatches(np.ones(3, int), Room(2), 2, 0), DistributedSampler)
    assert isinstance(TrainBatches(3, Room(2), 2, 0, Position(0)), DistributedSampler)


@pytest.mark.parametrize("tokens", [None, 24])
def test_a_run_that_goes_on_takes_the_rest_of_its_epoch_and_the_whole_of_the_next(tokens):
    lengths, places = np.arange(50) % 7, (Position(3), Position(3, epoch=2, batches=5))
    whole, rest = (TrainBatches(50, Room(4, tokens), 1, 0, place, lengths) for place in places)
    whole.set_epoch(2)
    assert list(rest) == list(whole)[5:]
    draws = [share.draw for share in whole]
    assert [share.draw for share in rest] == draws[5:]
    assert len(rest) == len(whole)
    for sampler in (whole, rest):
        sampler.set_epoch(3)
    assert list(rest) == list(whole)
    draws += [share.draw for share in whole]
    assert len(set(draws)) == len(draws) == 2 * len(whole)


def test_rows_know_what_draws_their_windows_in_another_process_too():
    share = next(iter(TrainBatches(6, Room(2), 1, 0, Position(4))))
    sent = pickle.loads(pickle.dumps(share))
    assert (sent, sent.draw) == (share, share.draw)
    rows = BatchRows(Dataset.from_dict({"windows": [[row] for row in range(6)]}), 2)
    assert rows[sent] == [{"windows": [row], "draw": share.draw} for row in share]
    assert BatchRows(Dataset.from_dict({"target": [*range(6)]}), 2)[sent] == [{"target": row} for row in share]
    assert rows[list(sent)] == [{"windows": [row]} for row in share]


FACTORS = st.lists(st.floats(0.1, 3), min_size=2, max_size=2).map(np.array)


def drawn_batches(lengths, room, ranks, factors, position, grouped=True):
    """What each rank is given where rows are drawn, and the drawing."""
    quotas = Quotas(factors, np.arange(len(lengths)) % 2)
    by_tokens = room.tokens is not None
    drawing = Drawing(quotas, position.order, length_tops(lengths) if by_tokens else None)
    some = lengths if grouped else None
    return [TrainBatches(len(lengths), room, ranks, rank, position, some, drawing) for rank in range(ranks)], drawing


@given(LENGTHS, SIZES, RANKS, FACTORS, st.booleans(), st.integers(0, 5))
def test_ranks_share_the_rows_that_are_drawn(lengths, size, ranks, factors, grouped, epoch):
    parts, drawing = drawn_batches(lengths, Room(size), ranks, factors, Position(0, epoch), grouped)
    check_partition(parts, drawing, epoch)
    assert all(1 <= len(batch) <= size for part in parts for batch in part)
    assert len(parts[0]) == -(-len(drawing) // (size * ranks))


@given(LENGTHS, TOKENS, RANKS, FACTORS, st.integers(0, 5))
def test_drawn_rows_by_tokens_make_the_same_number_of_batches_every_epoch(lengths, tokens, ranks, factors, epoch):
    parts, drawing = drawn_batches(lengths, Room(1, tokens), ranks, factors, Position(0, epoch))
    check_partition(parts, drawing, epoch)
    assert all(0 < padded(lengths, [batch]) <= tokens for part in parts for batch in part)
    assert len(parts[0]) == len(drawn_batches(lengths, Room(1, tokens), ranks, factors, Position(0))[0][0])


def check_partition(parts, drawing, epoch):
    """Every process takes as many steps of as many rows, and together they have what was drawn."""
    steps = [list(part) for part in parts]
    assert {len(part) for part in parts} == {len(step) for step in steps}
    assert all(len({len(batch) for batch in step}) == 1 for step in zip(*steps, strict=True))
    seen = Counter(row for part in steps for batch in part for row in batch)
    wanted = Counter(drawing.rows(epoch).tolist())
    assert not wanted - seen
    assert (seen - wanted).total() < len(parts)  # repeated, so that the processes come out even
    assert set(seen) == set(wanted)


def test_few_batches_by_tokens_are_halved():
    lengths = np.random.default_rng(0).geometric(0.05, 6000).clip(max=128)
    for epoch in range(3):
        (part,), _ = drawn_batches(lengths, Room(1, 1024), 1, np.array([0.2, 1.3]), Position(0, epoch))
        areas = np.array([padded(lengths, [batch]) for batch in part])
        assert len(part) == len(areas)
        assert areas.mean() > 0.82 * 1024


@pytest.mark.parametrize(("grouped", "tokens"), [(False, None), (True, None), (True, 24)])
def test_a_run_that_goes_on_draws_the_rest_of_its_epoch(grouped, tokens):
    lengths, factors = np.arange(50) % 7, np.array([0.3, 1.6])

    def begin(position):
        return drawn_batches(lengths, Room(4, tokens), 1, factors, position, grouped)[0][0]

    whole, rest = begin(Position(3)), begin(Position(3, epoch=2, batches=5))
    whole.set_epoch(2)
    assert list(rest) == list(whole)[5:]
    assert len(rest) == len(whole) == len(list(whole))
    for sampler in (whole, rest):
        sampler.set_epoch(3)
    assert list(rest) == list(whole)


def test_rows_in_their_own_order_are_those_drawn():
    rows = Dataset.from_dict({"target": [7, 8, 9]})
    batches = BatchRows(rows, 2, np.array([0, 1, 1, 1, 2]))
    assert [[row["target"] for row in batches[batch]] for batch in range(len(batches))] == [[7, 8], [8, 8], [9]]
    assert [row["target"] for row in batches[[2, 0]]] == [9, 7]
