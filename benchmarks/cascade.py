"""What a threshold that `cascade` chose on dev costs on test, beside the best for test, never asking and always asking.

    python benchmarks/cascade.py --data DIR                # run every missing cell, then print the tables
    python benchmarks/cascade.py --data DIR --only trec    # run only the cells whose names begin so
    python benchmarks/cascade.py --data DIR --runs RUNS    # keep the models there, and take those that are there
    python benchmarks/cascade.py --print                   # print the tables of the cells there are

The models are those of `calibration.py`, calibrated on dev; for TREC also one of a third of all its rows, of a tenth
and of a twentieth, with half of the others as dev and half as test, since 500 rows with 18 errors tell little of a
cost. The language model is a stand-in on loopback that knows the right answers and gives so many of them, whatever the
text: it shows the mechanism, and no language model is measured here. All is done by the command, as a user gives it.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from _cascaded import run
from _cells import Cell, Measured, table
from _study import add_runs, run_study

STUDY = "cascade"
CORPORA: dict[str, Sequence[int]] = {
    "trec": (0,),
    "trec-thirds": range(10),
    "trec-tenth": range(10),
    "trec-twentieth": range(3),
    "sst2": (0, 1, 2),
    "goemotions": (0,),
}
ACCURACIES = (0.9, 0.98)
PRICES = (0.02, 0.1)  # of a call, in errors


def cell(corpus: str, accuracy: float, price: float, seed: int) -> Cell:
    """The cell of a corpus, a stand-in, a price and a seed."""
    return Cell(corpus, f"accuracy_{accuracy:g}_call_{price:g}", seed, STUDY)


def plan(options: argparse.Namespace) -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run; those of a seed share a model."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = options.runs or Path(scratch)
        for seed in range(1 + max(map(max, CORPORA.values()))):
            for corpus, seeds in CORPORA.items():
                for accuracy, price in product(ACCURACIES, PRICES if seed in seeds else ()):
                    yield cell(corpus, accuracy, price, seed), partial(run, corpus, seed, accuracy, price, runs)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print a table of each corpus."""
    if code := run_study(__doc__, args, plan, add_runs):
        return code
    columns = {
        "threshold": "threshold",
        "asked": "asked",
        "cost": "cost",
        "best threshold": "threshold/best",
        "asked by it": "asked/best",
        "its cost": "cost/best",
        "ratio": "ratio",
        "of halves": "ratio/halves",
        "never": "cost/never",
        "always": "cost/always",
    }
    for corpus, seeds in CORPORA.items():
        rows = {
            f"{accuracy:g} right, a call {price:g}": [cell(corpus, accuracy, price, seed) for seed in seeds]
            for accuracy, price in product(ACCURACIES, PRICES)
        }
        print(table(f"{corpus}, cost of 1,000 rows in errors", rows, columns, spread=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
