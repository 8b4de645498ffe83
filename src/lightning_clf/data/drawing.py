"""Which rows an epoch of training sees, where not every row is seen once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread more evenly than those of any other number
_STREAM = 1  # other random numbers than those that shuffle


@dataclass(frozen=True)
class Quotas:
    """How often rows are to be seen, in groups of rows that are seen equally often.

    Attributes:
        factors: A factor of 0 or more for each of G groups, float64 `[G]`.
        group: The group of each of R rows, `[R]`.
    """

    factors: NDArray[np.float64]
    group: NDArray[np.integer]

    def parts(self) -> list[tuple[int, int]]:
        """For each group, how many copies of every row an epoch has, and how many rows have one more.

        The second number is fixed, so that all epochs are of one size; it is the nearest whole number of rows, and at
        least one where every row would otherwise be left out for good.
        """
        sizes = np.bincount(self.group, minlength=len(self.factors)).tolist()
        parts = []
        for factor, size in zip(self.factors.tolist(), sizes, strict=True):
            copies = int(factor)
            some = int((factor - copies) * size + 0.5)
            parts.append((copies, some if copies or not factor or not size else max(1, some)))
        return parts

    def __len__(self) -> int:
        """How many rows an epoch has, repeats included."""
        sizes = np.bincount(self.group, minlength=len(self.factors)).tolist()
        return sum(copies * size + some for (copies, some), size in zip(self.parts(), sizes, strict=True))


@dataclass(frozen=True)
class _Circle:
    """The rows of a group, in the order in which they take turns.

    Attributes:
        rows: The n rows.
        copies: How many copies of each an epoch has.
        some: How many rows have one more, those that follow where the last epoch ended.
    """

    rows: Numbers
    copies: int
    some: int

    def drawn(self, epoch: int) -> list[Numbers]:
        turn = (epoch * self.some + np.arange(self.some)) % max(1, len(self.rows))
        return [*[self.rows] * self.copies, self.rows[turn]]

    def most(self, long: NDArray[np.bool_]) -> int:
        """The most rows of those marked, bool `[n]`, that an epoch may have."""
        total = np.concatenate([[0], np.cumsum(np.concatenate([long, long[: self.some]]))])
        turns = total[self.some :] - total[: len(total) - self.some]
        return int(self.copies * long.sum() + turns.max(initial=0))


class Drawing:
    """Rows with repeats and gaps, the same number every epoch, others of each group from epoch to epoch.

    A group of n rows with the factor f gives ⌊f⌋ copies of each row and one more of k = round((f − ⌊f⌋)·n) rows. The
    rows stand on a circle in an order that follows from the seed, and epoch e takes the k rows from place e·k on. So no
    row is drawn more than once more often than another, every row has its turn after ⌈n/k⌉ epochs, and over n epochs
    all have been drawn equally often.

    Args:
        quotas: How often each of R rows is to be seen.
        seed: Which order.
        lengths: How long each row is, where every epoch is to have about the same number of rows of each length: then
            neighbours in length are spread over the circle by multiples of the golden ratio. Rows of one length are in
            random order all the same.
    """

    def __init__(self, quotas: Quotas, seed: int, lengths: Numbers | None = None) -> None:
        random = np.random.default_rng((seed, _STREAM))
        self.lengths = lengths
        self._count = len(quotas)
        by_group = np.argsort(quotas.group, kind="stable")
        ends = np.cumsum(np.bincount(quotas.group, minlength=len(quotas.factors)))[:-1]
        self._circles = [
            _Circle(_turns(rows, random, lengths), copies, some)
            for rows, (copies, some) in zip(np.split(by_group, ends), quotas.parts(), strict=True)
        ]

    def __len__(self) -> int:
        """How many rows an epoch has, repeats included."""
        return self._count

    def rows(self, epoch: int) -> Numbers:
        """The rows of an epoch, in no order that matters."""
        return np.concatenate([np.zeros(0, np.int64), *[some for c in self._circles for some in c.drawn(epoch)]])

    def longest(self) -> Numbers:
        """Lengths that no epoch's exceed: sorted, the longest first, each is at least that of the epoch's row there.

        Raises:
            ValueError: If the lengths of the rows are not known.
        """
        if self.lengths is None:
            raise ValueError("how long an epoch's rows are needs the lengths of the rows")
        known = np.unique(self.lengths)[::-1]
        at_least = [sum(c.most(self.lengths[c.rows] >= length) for c in self._circles) for length in known]
        return np.repeat(known, np.diff([0, *at_least]))


def _turns(rows: Numbers, random: np.random.Generator, lengths: Numbers | None) -> Numbers:
    """Rows in the order in which they take turns."""
    rows = random.permutation(rows)
    if lengths is None:
        return rows
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    return by_length[np.argsort((random.random() + np.arange(len(rows)) * _GOLDEN) % 1, kind="stable")]
