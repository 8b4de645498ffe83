"""The command line of a benchmark whose cells are kept: which are run, and what is said where something is missing."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import _cells
import _corpora
from _cells import Cell, Measured, run_missing

Plan = Iterable[tuple[Cell, Callable[[], Measured]]]


def run_study(
    doc: str | None,
    args: Sequence[str] | None,
    plan: Callable[[argparse.Namespace], Plan],
    add_options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> int:
    """Run the cells that are missing and asked for.

    Args:
        doc: The benchmark's description.
        args: The command line; that of the process by default.
        plan: Every cell in the order it is run, with what measures it.
        add_options: Adds options of the benchmark's own.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(doc)
    parser.add_argument("--only", default="", metavar="PREFIX", help="run only the cells whose names begin so")
    parser.add_argument("--print", action="store_true", help="run nothing")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where cells are kept (default: results)")
    add_options(parser)
    options = parser.parse_args(args)
    if options.results is not None:
        _cells.FOLDER = options.results
    elif _corpora.ENCODER_VARIABLE in os.environ and not options.print:
        parser.error(f"{_corpora.ENCODER_VARIABLE} names another encoder: say with --results where its cells are kept")
    try:
        run_missing(one for one in plan(options) if not options.print and str(one[0]).startswith(options.only))
    except _corpora.MissingError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    return 0


def add_runs(parser: argparse.ArgumentParser) -> None:
    """`--runs`."""
    parser.add_argument("--runs", type=Path, metavar="RUNS", help="a folder of run folders, which keeps the models")
