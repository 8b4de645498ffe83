"""The line of texts: batches under the budget, answers in their places, whatever comes when and whatever fails."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.serving.batching import Batcher, Job, Line, StoppedError, Work, cut
from tests.texts import repeatable

BUDGET = 40
lengths = st.lists(st.integers(1, BUDGET), max_size=30)


def works(lengths, first=0):
    """Texts that are numbers, in one request."""
    return [Work(first + place, length, Job([], 0), place) for place, length in enumerate(lengths)]


def items(batches):
    return [[work.item for work in batch] for batch in batches]


def flat(lists):
    return list(chain.from_iterable(lists))


@repeatable
@given(lengths)
def test_every_text_is_in_one_batch_and_no_batch_is_over_the_budget(lengths):
    batches = cut(works(lengths), BUDGET)
    assert sorted(flat(items(batches))) == list(range(len(lengths)))
    sizes = [[work.length for work in batch] for batch in batches]
    assert all(max(batch) * len(batch) <= BUDGET for batch in sizes)
    assert flat(sizes) == sorted(lengths)
    for batch, following in pairwise(sizes):  # none that could have held one more
        assert following[0] * (len(batch) + 1) > BUDGET


def test_a_batch_counts_its_padding():
    assert items(cut(works([10, 1, 10, 1, 10, 10, 14]), BUDGET)) == [[1, 3, 0, 2], [4, 5], [6]]
    assert items(cut(works([BUDGET + 1, 1, 1]), BUDGET)) == [[1, 2], [0]]


def test_the_first_waits_for_others_but_not_for_long():
    line = Line(max_tokens=BUDGET, max_wait=0.5)
    assert line.patience(100.0) is None
    line.add(works([10]), 100.0)
    assert line.patience(100.0) == 0.5
    line.add(works([10], first=1), 100.25)  # who comes later does not make the first wait longer
    assert line.patience(100.25) == 0.25
    assert line.patience(100.5) == 0
    assert line.patience(200.0) == 0
    assert items(line.take()) == [[0, 1]]
    assert line.patience(200.0) is None
    line.add(works([10]), 300.0)
    assert line.patience(300.0) == 0.5


def test_nobody_waits_where_a_batch_is_full():
    line = Line(max_tokens=BUDGET, max_wait=0.5)
    line.add(works([10, 10, 19]), 100.0)
    assert line.patience(100.0) == 0.5
    line.add(works([1], first=3), 100.0)
    assert line.patience(100.0) == 0
    line.take()
    line.add(works([1]), 100.0)
    assert line.patience(100.0) == 0.5


@repeatable
@given(st.lists(st.one_of(st.just("take"), lengths), max_size=12))
def test_whatever_waits_is_in_the_next_batches(events):
    """So that no text can be overtaken for ever by others, whatever its length."""
    line, waiting, number = Line(BUDGET, 1.0), [], 0
    for event in events:
        if event == "take":
            assert sorted(flat(items(line.take()))) == waiting
            waiting = []
        else:
            line.add(works(event, first=number), 0.0)
            waiting += range(number, number + len(event))
            number += len(event)


class Held:
    """Computes when it is let go; its answers are twice the items. An item below 0 cannot be computed."""

    def __init__(self):
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.batches = []

    def __call__(self, batch):
        self.batches.append(batch)
        self.begun.release()
        assert self.go.acquire(timeout=30)
        if min(batch) < 0:
            raise ArithmeticError(str(min(batch)))
        return [2 * item for item in batch]


@pytest.fixture
def held():
    compute = Held()
    batcher = Batcher(compute, BUDGET, max_wait=0.0)
    yield compute, batcher
    compute.go.release(1000)
    batcher.close(30)


def test_requests_that_come_meanwhile_share_the_next_batch(held):
    compute, batcher = held
    first = batcher.submit([1], [5])
    assert compute.begun.acquire(timeout=30)
    others = [batcher.submit([2, 3], [7, 6]), batcher.submit([4], [6])]
    compute.go.release(2)
    assert [first.result(30), *(other.result(30) for other in others)] == [[2], [4, 6], [8]]
    assert compute.batches == [[1], [3, 4, 2]]


def test_a_failure_is_of_the_requests_in_its_batch_alone(held):
    compute, batcher = held
    first = batcher.submit([1], [1])
    assert compute.begun.acquire(timeout=30)
    # two batches: what is short, and what is long
    bad, beside, other = (
        batcher.submit([-5, 2], [5, 40]),
        batcher.submit([3], [5]),
        batcher.submit([4], [39]),
    )
    compute.go.release(10)
    assert first.result(30) == [2]
    for future in (bad, beside):
        assert isinstance(future.exception(30), ArithmeticError)
    assert other.result(30) == [8]
    assert [2] not in compute.batches  # what failed already is computed no further
    assert batcher.submit([5], [1]).result(30) == [10]
    assert batcher.is_alive


def test_a_model_that_answers_too_little_is_a_failure():
    batcher = Batcher(lambda batch: batch[1:], BUDGET, 0.0)
    assert isinstance(batcher.submit([1, 2], [1, 1]).exception(30), ValueError)
    assert batcher.is_alive
    batcher.close()


def test_what_was_handed_in_is_answered_at_the_end(held):
    compute, batcher = held
    futures = [batcher.submit([number], [30]) for number in range(4)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    compute.go.release(10)
    closing.join(30)
    assert [future.result(0) for future in futures] == [[0], [2], [4], [6]]
    assert not batcher.is_alive
    with pytest.raises(StoppedError):
        batcher.submit([1], [1])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_dies_nobody_waits_for_ever():
    entered, go = threading.Event(), threading.Event()

    def die(batch):
        entered.set()
        go.wait(30)
        raise SystemExit

    batcher = Batcher(die, BUDGET, 0.0)
    first = batcher.submit([1], [1])
    assert entered.wait(30)
    second = batcher.submit([2], [1])
    go.set()
    for future in (first, second):
        assert isinstance(future.exception(30), StoppedError)
    batcher.close(30)
    assert not batcher.is_alive


def test_no_texts_are_answered_at_once():
    batcher = Batcher(lambda batch: batch, BUDGET, 0.0)
    assert batcher.submit([], []).result(30) == []
    batcher.close()


def test_a_text_waits_by_the_clock_it_is_given():
    """By a clock that stands still the time never comes; a full batch, or the end, does."""
    now = [0.0]
    batcher = Batcher(lambda batch: [batch] * len(batch), BUDGET, 0.01, clock=lambda: now[0])
    first = batcher.submit([1], [1])
    time.sleep(0.1)  # ten times what it would wait by the clock on the wall
    assert not first.done()
    now[0] = 1.0
    assert first.result(30) == [[1]]
    second, third = batcher.submit([2], [1]), batcher.submit([3], [39])
    assert (second.result(30), third.result(30)) == ([[2]], [[3]])
    fourth = batcher.submit([4], [1])
    batcher.close(30)
    assert fourth.result(0) == [[4]]


@repeatable
@given(
    st.lists(st.lists(st.tuples(st.integers(), st.integers(1, BUDGET + 5)), max_size=6), max_size=8),
    st.sampled_from([0.0, 0.001]),
)
def test_answers_are_those_of_the_request_whatever_comes_when(requests, max_wait):
    batcher = Batcher(lambda batch: [("answer", item) for item in batch], BUDGET, max_wait)

    def ask(texts):
        return batcher.submit([item for item, _ in texts], [length for _, length in texts]).result(30)

    with ThreadPoolExecutor(4) as clients:
        assert list(clients.map(ask, requests)) == [[("answer", item) for item, _ in texts] for texts in requests]
    batcher.close(30)
