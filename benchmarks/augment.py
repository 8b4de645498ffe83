"""What added rows do for a rare label: SMS spam at 0.5 %, without and with rows that `augment` adds.

    python benchmarks/augment.py --data DIR                          # run every missing cell, then print the table
    python benchmarks/augment.py --data DIR --only sms-0.5/added_0   # run only the cells whose names begin so
    python benchmarks/augment.py --print                             # print the table of the cells there are

The rows come from a small responder on loopback that fills patterns by rule, through the command as a user gives it,
dev and test held out. It shows the mechanism: no language model is measured here. Train, recipe and scores are those of
`imbalance.py`; cross-entropy, three seeds, the last epoch's weights.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from _advertisements import respond
from _cells import Cell, Measured, table
from _imbalanced import measure_setting
from _responder import responder
from _settings import Setting, setting
from _study import run_study
from lightning_clf.cli import main as command

STUDY = "augment"
SETTING = "sms-0.5"
ADDED = (0, 50, 200)
SEEDS = (0, 1, 2)


def cell(added: int, seed: int) -> Cell:
    """The cell of so many added rows and a seed."""
    return Cell(SETTING, f"added_{added}", seed, STUDY)


def with_rows(made: Setting, count: int, seed: int) -> Setting:
    """A setting with so many more rows of its rare label in train, made by our command."""
    with tempfile.TemporaryDirectory() as scratch, responder(respond) as url:
        folder = made.write(Path(scratch))
        files = ["--data", folder / "train.jsonl", "--held-out", folder / "val.jsonl", folder / "test.jsonl"]
        words = [*files, "--output", folder / "added.jsonl", "--endpoint", url, "--model", "rules"]
        words += ["--labels", *made.rare, "--rows", count, "--seed", seed]
        with contextlib.redirect_stdout(sys.stderr):
            code = command(["augment", *map(str, words)])
        if code:
            raise RuntimeError("augment failed")
        rows = [json.loads(line) for line in (folder / "added.jsonl").open(encoding="utf-8")]
    if len(rows) != count:
        raise RuntimeError(f"{len(rows)} rows were made, not {count}")
    more = [{"text": row["text"], "label": row["label"]} for row in rows]
    splits = made.corpus.splits
    return replace(made, corpus=replace(made.corpus, splits={**splits, "train": [*splits["train"], *more]}))


def measure(added: int, seed: int) -> Measured:
    """Trains with so many added rows."""
    made = setting(SETTING)
    return measure_setting(with_rows(made, added, seed) if added else made, {}, seed)


def cells(options: argparse.Namespace) -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell, seed by seed."""
    yield from ((cell(added, seed), partial(measure, added, seed)) for seed in SEEDS for added in ADDED)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table."""
    if code := run_study(__doc__, args, cells):
        return code
    columns = {"macro F1": "test/f1_macro", "spam F1": "test/f1_rare", "accuracy": "test/accuracy"}
    rows = {f"{added} added" if added else "none added": [cell(added, seed) for seed in SEEDS] for added in ADDED}
    print(table("SMS, spam 0.5 %", rows, columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
