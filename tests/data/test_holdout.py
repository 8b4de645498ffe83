"""The dev split out of train is the same everywhere, and has the classes of train."""

from collections import Counter

import pytest

from lightning_clf.data.holdout import hold_out

from .conftest import complaint


def test_golden() -> None:
    """These rows must never change: scores on them are compared over years and machines."""
    assert hold_out(20, 0.2, seed=0)[1] == GOLDEN[0]
    assert hold_out(20, 0.2, seed=1)[1] == GOLDEN[1]


GOLDEN = {0: [4, 7, 15, 18], 1: [4, 7, 8, 11]}


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_partition(count: int, fraction: float) -> None:
    kept, held = hold_out(count, fraction, seed=3)
    assert sorted(kept + held) == list(range(count))
    assert kept == sorted(kept)
    assert held == sorted(held)
    assert len(held) == min(max(1, round(count * fraction)), count - 1)


def test_strata_keep_their_share() -> None:
    strata = [0] * 900 + [1] * 80 + [2] * 20
    kept, held = hold_out(1000, 0.1, 0, strata)
    assert Counter(strata[row] for row in held) == {0: 90, 1: 8, 2: 2}
    assert len(kept) == 900


def test_strata_round_to_the_whole() -> None:
    strata = [row % 7 for row in range(100)]
    _, held = hold_out(100, 0.1, 0, strata)
    assert len(held) == 10
    assert set(Counter(strata[row] for row in held).values()) <= {1, 2}


def test_a_class_with_one_row_stays_in_train() -> None:
    strata = [0] * 10 + [1]
    kept, _ = hold_out(11, 0.9, 0, strata)
    assert {strata[row] for row in kept} == {0, 1}


def test_other_seed_other_rows() -> None:
    assert hold_out(100, 0.1, 0) != hold_out(100, 0.1, 1)


def test_too_few_rows() -> None:
    message = complaint(lambda: hold_out(2, 0.1, 0, [0, 1]))
    assert "train has 2 rows in 2 classes, too few to hold some out: give a dev split" in message
