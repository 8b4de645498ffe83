"""A dev split out of train, the same on every machine."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from lightning_clf.errors import InputError


def hold_out(
    count: int, fraction: float, seed: int, strata: Sequence[int] | None = None
) -> tuple[list[int], list[int]]:
    """Choose the rows of train that become the dev split.

    The choice depends on a row's position and the seed alone, through a hash that no version of Python, NumPy or
    PyTorch changes.

    Args:
        count: How many rows train has.
        fraction: How much of it to hold out; at least one row.
        seed: Which rows.
        strata: The class of every row, to hold out the same share of each; a class keeps at least one row in train.

    Returns:
        The rows that stay and the rows held out, each in order.

    Raises:
        InputError: If train has too few rows.
    """
    rank = {row: hashlib.sha256(f"{seed}:{row}".encode()).digest() for row in range(count)}
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(count):
        groups[strata[row] if strata is not None else 0].append(row)
    room = count - len(groups)  # every class keeps one row
    if room < 1:
        raise InputError(f"train has {count} rows in {len(groups)} classes, too few to hold some out: give a dev split")
    wanted = min(max(1, round(count * fraction)), room)
    shares = _shares({label: len(rows) for label, rows in groups.items()}, wanted)
    held = {row for label, rows in groups.items() for row in sorted(rows, key=rank.__getitem__)[: shares[label]]}
    return [row for row in range(count) if row not in held], sorted(held)


def _shares(sizes: dict[int, int], wanted: int) -> dict[int, int]:
    """How many rows of each class to hold out: in proportion, rounded so that they sum to what is wanted."""
    total = sum(sizes.values())
    shares = {label: min(wanted * size // total, size - 1) for label, size in sizes.items()}
    # what rounding down left over goes to the largest remainders, first come first served among equals
    by_remainder = sorted(sizes, key=lambda label: (-(wanted * sizes[label] % total), label))
    while (missing := wanted - sum(shares.values())) > 0:
        for label in [label for label in by_remainder if shares[label] < sizes[label] - 1][:missing]:
            shares[label] += 1
    return shares
