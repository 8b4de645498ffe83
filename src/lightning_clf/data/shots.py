"""A few rows of each label, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def draw_shots(
    targets: Sequence[int] | Sequence[list[int]], count: int, shots: int, seed: int
) -> tuple[list[int], list[int]]:
    """Draw so many rows a label.

    The choice depends on a row's position and the seed alone, through a hash, as that of a dev split does. Rows are
    looked at in an order that follows from it, and one is taken where a label of it has too few yet: of rows with one
    label each has exactly as many as wanted, of rows with several at least as many, as far as there are so many. Rows
    without a label count as those of one label more.

    Args:
        targets: The label of each row, or its labels.
        count: How many labels there are.
        shots: How many rows a label.
        seed: Which rows.

    Returns:
        The rows drawn and the others, each in order.
    """
    seen = [0] * (count + 1)
    drawn = set()
    for row in sorted(range(len(targets)), key=lambda row: hashlib.sha256(f"shots:{seed}:{row}".encode()).digest()):
        target = targets[row]
        labels = [target] if isinstance(target, int) else target or [count]
        if any(seen[label] < shots for label in labels):
            drawn.add(row)
            for label in labels:
                seen[label] += 1
    return sorted(drawn), [row for row in range(len(targets)) if row not in drawn]
