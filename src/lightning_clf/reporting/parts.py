"""Parts of the rows: by the length of their texts, and by columns of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_clf.data.lines import Row
from lightning_clf.errors import InputError
from lightning_clf.reporting.outcomes import Counted, Outcomes
from lightning_clf.reporting.resampling import as_json, main_intervals

BINS = 5
"""Into how many parts of about one size lengths are divided."""
MOST = 12
"""How many values of a column are told apart; the others are rows of their own together."""


def by_length(outcomes: Outcomes, counted: Counted | None, lengths: Sequence[int], draws: int) -> list[dict[str, Any]]:
    """Scores by the number of words, in parts of about as many rows; rows of one length stay together."""
    order = sorted(lengths)
    # a part begins with the length that stands at a fifth, two fifths … of all rows
    starts = sorted({order[part * len(order) // BINS] for part in range(BINS)})
    parts = []
    for start, end in zip(starts, [*starts[1:], order[-1] + 1], strict=True):
        chosen = [row for row, length in enumerate(lengths) if start <= length < end]
        scores = as_json(main_intervals(outcomes, counted, chosen, draws))
        parts.append({"from": start, "to": end - 1, "rows": len(chosen), "metrics": scores})
    return parts


def by_column(
    outcomes: Outcomes, counted: Counted | None, rows: Sequence[Row], column: str, draws: int
) -> dict[str, Any]:
    """Scores by the values of a column, the most frequent first."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(_shown(row.get(column)), []).append(place)
    ranked = sorted(places, key=lambda value: (-len(places[value]), value))
    parts = [(value, places[value]) for value in ranked[:MOST]]
    if others := ranked[MOST:]:
        parts.append((f"{len(others)} other values", sorted(place for value in others for place in places[value])))
    values = [
        {"value": value, "rows": len(chosen), "metrics": as_json(main_intervals(outcomes, counted, chosen, draws))}
        for value, chosen in parts
    ]
    return {"column": column, "values": values}


def check_columns(row: Row, columns: Sequence[str], file: str) -> None:
    """Refuse columns that the first row has not.

    Raises:
        InputError: If there is one.
    """
    for column in columns:
        if column not in row:
            raise InputError(
                f"{file} has no column {column!r} to slice by (columns: {', '.join(row)}): name one of them with "
                "--slices"
            )


def _shown(value: Any) -> str:
    return "(empty)" if value is None or value == "" else str(value)
