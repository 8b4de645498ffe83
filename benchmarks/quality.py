"""Quality beside the peer: what each system scores on five corpora with the same encoder.

    python benchmarks/quality.py --data DIR                      # run every missing cell, then print the table
    python benchmarks/quality.py --data DIR --only sst2/peer/0   # run these cells only ('*/peer/0' works too)
    python benchmarks/quality.py --print                         # print the table of the cells there are

A cell is one corpus, system and seed; one that was measured before is not run again. A difference between two
systems means something only where it is larger than the margin: the larger of the peer's spread over seeds (highest
minus lowest) and 1.96 binomial standard errors of the test set.
"""

import importlib
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import _corpora
from _cells import Cell, Measured, run_missing


class System(NamedTuple):
    """Where a system's ``run(corpus, seed) -> metrics`` is found, and whether it keeps to the corpus's recipe."""

    module: str
    function: str = "run"
    follows_recipe: bool = True


# The first is the one that the others are compared with.
SYSTEMS = {
    "peer": System("_peer"),
    "recipe": System("_ours", "recipe"),
    "shipped": System("_ours", "shipped", follows_recipe=False),
}
REFERENCE = next(iter(SYSTEMS))
SHOWN = ("accuracy", "f1_macro", "f1_micro", "entity_f1")
SEEDS = {"sst2": (0, 1, 2), "trec": (0, 1, 2), "sick": (0, 1, 2), "conll2003": (0,), "goemotions": (0,), "pos": (0,)}


def cells(patterns: Sequence[str] = ()) -> list[Cell]:
    """Lists the cells, every corpus with its first seed before any with its second.

    Args:
        patterns: Names of cells, with shell wildcards; none stands for all.

    Raises:
        ValueError: A pattern matches no cell.
    """
    seeds = sorted({seed for some in SEEDS.values() for seed in some})
    known = [Cell(corpus, s, seed) for seed in seeds for s in SYSTEMS for corpus in SEEDS if seed in SEEDS[corpus]]
    for pattern in patterns:
        if not any(fnmatchcase(str(cell), pattern) for cell in known):
            raise ValueError(f"--only {pattern}: no such cell; the cells are {' '.join(map(str, known))}")
    return [cell for cell in known if not patterns or any(fnmatchcase(str(cell), pattern) for pattern in patterns)]


def recipe(cell: Cell) -> dict[str, float] | None:
    """Returns the recipe that a cell is measured with, or None where the system brings its own."""
    return asdict(_corpora.RECIPES[cell.corpus]) if SYSTEMS[cell.system].follows_recipe else None


def measure(cell: Cell) -> Measured:
    """Runs a cell.

    Raises:
        MissingError: The data, the encoder or a package that the system needs was not found.
    """
    system = SYSTEMS[cell.system]
    corpus = _corpora.load(cell.corpus)
    metrics: dict[str, float] = getattr(importlib.import_module(system.module), system.function)(cell.corpus, cell.seed)
    return Measured(metrics, {stage: corpus.size(stage) for stage in corpus.splits}, recipe(cell))


def outdated(some: Sequence[Cell]) -> list[str]:
    """Returns the names of the cells that were measured with another recipe than the present one."""
    return [
        str(cell)
        for cell in some
        if (record := cell.read()) is not None and _numbers(record["recipe"]) != _numbers(recipe(cell))
    ]


def _numbers(recipe: dict[str, float] | None) -> dict[str, float] | None:
    """Returns a recipe without the precision, which follows from the machine and is compared by eye."""
    return recipe and {name: value for name, value in recipe.items() if name != "bf16"}


def margin(values: Sequence[float], size: int) -> float:
    """Returns the difference from the mean of ``values`` that chance alone explains.

    Args:
        values: A score between 0 and 1, once a seed.
        size: How many things of the test set the score counts.
    """
    mean = fmean(values)
    return max(max(values) - min(values), 1.96 * math.sqrt(mean * (1 - mean) / size))


def table() -> str:
    """Returns the cells there are as a Markdown table: a row per corpus and metric, a column per system."""
    lines = [
        f"| corpus | metric | counted | seeds | margin | {' | '.join(SYSTEMS)} |",
        f"|---|---|---:|---:|---:|{'---:|' * len(SYSTEMS)}",
    ]
    for corpus, seeds in SEEDS.items():
        found: dict[str, list[dict[str, Any]]] = {}
        for system in SYSTEMS:
            records = (Cell(corpus, system, seed).read() for seed in seeds)
            found[system] = [record for record in records if record is not None]
        first = next((records[0] for records in found.values() if records), None)
        if first is None:
            continue
        for metric in (found[REFERENCE] or [first])[0]["metrics"]:
            if metric.partition("/")[2] not in SHOWN:
                continue
            size = first["sizes"][metric.partition("/")[0]]
            values = {s: [r["metrics"][metric] for r in records] for s, records in found.items()}
            means = [f"{fmean(some):.4f}" if some else "-" for some in values.values()]
            counts = "/".join(dict.fromkeys(str(len(some)) for some in values.values()))
            chance = f"{margin(values[REFERENCE], size):.4f}" if values[REFERENCE] else "-"
            lines.append(f"| {corpus} | {metric} | {size} | {counts} | {chance} | {' | '.join(means)} |")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the cells that are missing and prints the table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing, or a cell was measured with another recipe.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="CORPUS/SYSTEM/SEED", help="run these cells only")
    parser.add_argument("--print", action="store_true", help="run nothing")
    options = parser.parse_args(args)
    try:
        asked = cells(options.only)
    except ValueError as error:
        parser.error(str(error))
    if stale := outdated(cells()):
        print(f"quality.py: measured with another recipe, delete to run again: {' '.join(stale)}", file=sys.stderr)
        return 2
    try:
        run_missing((cell, partial(measure, cell)) for cell in ([] if options.print else asked))
    except _corpora.MissingError as error:
        print(f"quality.py: {error}", file=sys.stderr)
        return 2
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
