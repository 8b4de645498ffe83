"""`lightning-clf report`."""

from __future__ import annotations

import argparse
from typing import Any

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import say_written
from lightning_clf.cli.options import Parser, named_columns
from lightning_clf.errors import InputError


def run(words: list[str]) -> None:
    """Write a page about a model on labelled rows, or about two such reports.

    Raises:
        InputError: If an option, the model, a report or a row is not as it should be.
    """
    options = _parser().parse_args(words)
    _check(options)

    with importing():
        from lightning_clf.reporting import compare, report

    if options.reports:
        first, second = options.reports
        print("\n".join(_compared(compare(first, second, options.output))))
    else:
        found = report(
            options.model,
            options.input,
            options.output,
            columns=named_columns(options),
            slices=options.slices,
            train=options.train,
            batch_size=options.batch_size,
            device=options.device,
        )
        print("\n".join(_lines(found)))
    say_written(options.output, more=" and the same as JSON beside it")


def _lines(found: dict[str, Any]) -> list[str]:
    return [
        f"{'':<12}{'value':>7}  {'95 % interval':>16}",
        *(
            f"{name:<12}"
            + "  ".join("   none" if each[end] is None else f"{each[end]:>7.4f}" for end in ("value", "low", "high"))
            for name, each in ((name, found["metrics"][name]) for name in found["main"])
        ),
    ]


def _compared(found: dict[str, Any]) -> list[str]:
    lines = [f"{'':<12}{'first':>7}  {'second':>7}  {'difference':>10}  {'95 % interval':>18}  {'p':>7}"]
    for name in found["main"]:
        each = found["metrics"][name]
        gap = each["difference"]
        cells = [(each["first"], ">7"), (each["second"], ">7"), (gap["value"], ">+10"), (gap["low"], ">+8"),
                 (gap["high"], ">+8"), (each["p_value"], ">7")]  # fmt: skip
        shown = (format("none", form.replace("+", "")) if cell is None else f"{cell:{form}.4f}" for cell, form in cells)
        lines.append(f"{name:<12}" + "  ".join(shown))
    return lines


def _check(options: argparse.Namespace) -> None:
    if options.reports and len(options.reports) != 2:
        raise InputError(
            f"{len(options.reports)} reports are named ({', '.join(options.reports)}): two can be compared"
        )
    for name in ("model", "input"):
        given = getattr(options, name) is not None
        if options.reports and given:
            raise InputError(f"--{name} stands beside two reports to compare: give either of them")
        if not options.reports and not given:
            raise InputError(f"--{name} is missing: give --model and --input, or two reports to compare")


def _parser() -> Parser:
    parser = Parser(
        "report",
        "Write an HTML page about a model on labelled rows, or compare two reports of the same rows.",
    )
    parser.add_argument("reports", nargs="*", metavar="REPORT.json", help="two reports of the same rows to compare")
    parser.add_model(required=False)
    parser.add_argument(
        "--input", help="a .jsonl, .csv, .tsv, .parquet or .conll file of labelled rows it never learnt"
    )
    parser.add_argument("--output", required=True, help="the page to write, NAME.html; NAME.json is written beside it")
    parser.add_argument(
        "--slices",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of the file by whose values rows are scored too",
    )
    parser.add_argument(
        "--train", metavar="FILE", help="what the model was trained on, to tell words it has never seen"
    )
    parser.add_batch_size()
    parser.add_columns(labelled=True)
    parser.add_group_column()
    parser.add_device()
    return parser
