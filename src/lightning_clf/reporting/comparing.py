"""Two reports of the same rows, side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.reporting.building import FORMAT
from lightning_clf.reporting.comparison_page import comparison_page
from lightning_clf.reporting.outcomes import Outcomes
from lightning_clf.reporting.pairing import SWAPS, differences, discordant, ranked_differences
from lightning_clf.reporting.ranked import Ranked
from lightning_clf.reporting.resampling import DRAWS, LEVEL, SEED
from lightning_clf.reporting.writing import check_output, plain, write

_SHOWN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "data": {"file": str, "sha256": str, "rows": int},
    "model": {"name": str, "sha256": str, "architecture": str, "head": str},
    "machine": {"processor": str},
    "speed": {"rows_per_second": (int, float), "batch_milliseconds_median": (int, float, NoneType), "batch_size": int},
}
MOST = 100
"""How many rows are named that only one of two models answers rightly, of each."""


def compare(first: str, second: str, output: str, *, draws: int = DRAWS, swaps: int = SWAPS) -> dict[str, Any]:
    """Compare two reports of the same rows, and write a page with the same content as JSON beside it.

    Args:
        first: The JSON file of a report.
        second: That of another model on the same file.
        output: The page to write, `NAME.html`; the JSON file is `NAME.json`.
        draws: How often rows are drawn for an interval.
        swaps: How often answers are swapped for a p-value.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: If one is no report, they are of different rows or labels, or the page cannot be written.
    """
    path, beside = check_output(output, [first, second])
    reports = [read_report(first), read_report(second)]
    check_same(first, second, *reports)
    for name, report in zip((first, second), reports, strict=True):
        _check_shown(name, report)
    sides = _outcomes(first, reports[0]), _outcomes(second, reports[1])
    if sides[0].gold != sides[1].gold:
        raise InputError(f"reports {first} and {second} have other right answers in the same rows: write both anew")
    rankings = _rankings((first, second), reports, sides)
    metrics = {} if rankings is None else ranked_differences(*rankings, draws, swaps)
    metrics |= differences(*sides, draws, swaps)
    with _whole(first):
        main = list(reports[0]["main"])
        if not main or not metrics.keys() >= set(main):
            raise KeyError("main")
    only = discordant(*sides)
    found: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "kind": "comparison",
            "labels": reports[0]["labels"],
            "main": main,
            "data": reports[0]["data"],
            "models": [
                {"report": name, **report["model"]} for name, report in zip((first, second), reports, strict=True)
            ],
            "speed": [report["speed"] | {"machine": report["machine"]["processor"]} for report in reports],
            "bootstrap": {"draws": draws, "seed": SEED, "level": LEVEL, "swaps": swaps},
            "metrics": {
                name: each._asdict() | {"difference": each.difference._asdict()} for name, each in metrics.items()
            },
            "only_first_right": {"count": only[0], "rows": _flipped(reports, sides, right=0)},
            "only_second_right": {"count": only[1], "rows": _flipped(reports, sides, right=1)},
        }
    )
    write(comparison_page(found), found, path, beside)
    return found


def read_report(name: str) -> dict[str, Any]:
    """A report's JSON file.

    Raises:
        InputError: If it is none.
    """
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"report {name} does not exist: give the JSON file that stands beside a report's page"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"report {name} cannot be read: give the JSON file that stands beside a report's page"
        ) from error
    if not isinstance(found, dict) or found.get("kind") != "report":
        raise InputError(f"{name} is not the JSON file of a report: give one that `report --model` wrote")
    if found.get("format") != FORMAT:
        raise InputError(f"report {name} is of another version of lightning-clf: write it anew")
    return found


def check_same(first: str, second: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Refuse reports that are not of the same rows and labels.

    Raises:
        InputError: If they are not.
    """
    try:
        digests = one["data"]["sha256"], other["data"]["sha256"]
        if digests[0] != digests[1] or one["data"]["rows"] != other["data"]["rows"]:
            raise InputError(
                f"reports {first} and {second} are of different data ({one['data']['file']}, sha256 "
                f"{digests[0][:12]}…, and {other['data']['file']}, sha256 {digests[1][:12]}…): report both models on "
                "one file"
            )
        if one["labels"] != other["labels"]:
            raise InputError(f"reports {first} and {second} have different labels: compare models of the same labels")
    except (KeyError, TypeError) as error:
        raise InputError(f"report {first} or {second} is not whole: write it anew") from error


def _outcomes(name: str, report: dict[str, Any]) -> Outcomes:
    """What a report says of every row."""
    with _whole(name):
        labels = LabelSpace.from_dict(report["labels"])

        def numbered(value: Any) -> Any:
            if labels.kind == "score":
                return float(value)
            return [labels.index(each) for each in value] if isinstance(value, list) else labels.index(value)

        rows = report["rows"]
        sides = [[numbered(row[side]) for row in rows] for side in ("gold", "predicted")]
        return Outcomes(labels, *sides)


def _check_shown(name: str, report: dict[str, Any]) -> None:
    """Hold what a comparison shows of a report, besides what it counts, against what it must be."""
    with _whole(name):
        for part, shape in _SHOWN.items():
            for key, kind in shape.items():
                if not isinstance(report[part][key], kind):
                    raise TypeError(f"{part}.{key} is {report[part][key]!r}")
        for row in report["rows"]:
            _ = row["line"], row["text"]


@contextlib.contextmanager
def _whole(name: str) -> Iterator[None]:
    """Say of whatever is not to be found in a report that it is not whole."""
    try:
        yield
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(f"report {name} is not whole: write it anew") from error


def _rankings(
    names: tuple[str, str], reports: list[dict[str, Any]], sides: tuple[Outcomes, Outcomes]
) -> tuple[Ranked, Ranked] | None:
    """What both reports rank; `None` where neither ranks any.

    Raises:
        InputError: If a report is not whole, or they rank other rows together.
    """
    found = []
    for name, report, side in zip(names, reports, sides, strict=True):
        with _whole(name):
            found.append(Ranked.of_report(report, side.gold))
    first, second = found
    if (first and first.groups) != (second and second.groups):
        raise InputError(
            f"reports {' and '.join(names)} rank other rows together, or only one ranks any: write both anew with the "
            "same --group-column"
        )
    return (first, second) if first and second else None


def _flipped(reports: list[dict[str, Any]], sides: tuple[Outcomes, Outcomes], *, right: int) -> list[dict[str, Any]]:
    """The first rows that only one of the two answers rightly."""
    marks = [side.right() for side in sides]
    chosen = [row for row in range(len(sides[0])) if marks[right][row] and not marks[1 - right][row]]
    return [
        {
            **{key: reports[0]["rows"][row][key] for key in ("line", "text", "gold")},
            "first": reports[0]["rows"][row]["predicted"],
            "second": reports[1]["rows"][row]["predicted"],
        }
        for row in chosen[:MOST]
    ]
