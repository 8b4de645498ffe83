"""What helps rare labels: every strategy with the same encoder and recipe on real, imbalanced training sets.

    python benchmarks/imbalance.py --data DIR                  # run every missing cell, then print the tables
    python benchmarks/imbalance.py --data DIR --only trec/     # run only the cells whose names begin so
    python benchmarks/imbalance.py --print                     # print the tables of the cells there are

Train is TREC (ABBR is 1.6 %), and SMS spam without duplicates, of which spam is cut to 0.5 % of train; three seeds.
The five strategies with the highest macro F1 on their dev splits go on to spam at 2 % and 10 %, and the multi-label
ones to 15,000 rows of GoEmotions, with one seed. The textbook's own case are 8,000 rows of GoEmotions with 15 rows of
each of the five rarest labels: BCE beside focal loss, those labels sampled three times as often, and 45 more rows of
each; three seeds. Every system trains three epochs at 1e-4, of GoEmotions four at 2e-4, and the last one's weights are
scored, so that no strategy is helped by a choice on dev. The labels of GoEmotions are given at a probability of one
half, and at thresholds tuned on dev. Dev and test keep the shares the corpus has.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean

from _cells import Cell, Measured, table
from _imbalanced import MULTI, SINGLE, TEXTBOOK, Options, measure
from _settings import RATES
from _study import run_study

STUDY = "imbalance"
FIRST = ("trec", "sms-0.5")
NEXT = tuple(name for name in RATES if name not in FIRST)
SEEDS = (0, 1, 2)
PROMISING = 5


def cell(name: str, strategy: str, seed: int) -> Cell:
    """The cell of a setting, a strategy and a seed."""
    return Cell(name, re.sub(r"[^\w.]+", "_", strategy), seed, STUDY)


def promising() -> list[str]:
    """The strategies that go on: those with the highest mean macro F1 on the dev splits of the first two settings."""
    values: dict[str, float] = {}
    for strategy, options in SINGLE.items():
        records = [cell(name, strategy, seed).read() for name in FIRST for seed in SEEDS]
        if options is not None and all(records):
            values[strategy] = fmean(record["metrics"]["val/f1_macro"] for record in records if record)
    return sorted(values, key=lambda strategy: -values[strategy])[:PROMISING]


def plan() -> Iterator[tuple[str, str, int, Options | None]]:
    """Every cell in the order it is run: setting, strategy, seed and options. The later depend on the earlier."""
    for seed in SEEDS:
        for name in FIRST:
            yield from ((name, strategy, seed, options) for strategy, options in SINGLE.items())
    chosen = ["Trainer, weighted loss", "cross-entropy", *promising()]
    for name in NEXT:
        yield from ((name, strategy, 0, SINGLE[strategy]) for strategy in dict.fromkeys(chosen))
    yield from (("goemotions", strategy, 0, options) for strategy, options in MULTI.items())
    for seed in SEEDS:
        yield from ((name, strategy, seed, options) for strategy, (name, options) in TEXTBOOK.items())


def cells() -> Iterator[tuple[Cell, partial[Measured]]]:
    """The plan, with what measures each cell."""
    for name, strategy, seed, options in plan():
        yield cell(name, strategy, seed), partial(measure, name, options, seed)


def shown(name: str, strategies: Mapping[str, str], seeds: Sequence[int], *, many: bool = False) -> str:
    """The cells of some strategies as a table.

    Args:
        name: What the table is called.
        strategies: The setting of each strategy.
        seeds: The seeds.
        many: Whether a text has many labels.
    """
    rows = {strategy: [cell(where, strategy, seed) for seed in seeds] for strategy, where in strategies.items()}
    columns = {"macro F1": "test/f1_macro", "rare F1": "test/f1_rare", "accuracy": "test/accuracy"}
    if many:
        columns = {
            f"{heading}{where}": f"test/f1_{metric}_{how}"
            for where, how in ((" at 0.5", "at_half"), (", tuned", "tuned"))
            for heading, metric in (("macro F1", "macro"), ("micro F1", "micro"), ("rare F1", "rare"))
        }
    return table(name, rows, columns)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: cells()):
        return code
    for name in (*FIRST, *NEXT):
        print(shown(name, dict.fromkeys(SINGLE, name), SEEDS if name in FIRST else (0,)) + "\n")
    print(shown("goemotions", dict.fromkeys(MULTI, "goemotions"), (0,), many=True) + "\n")
    print(shown("textbook", {strategy: name for strategy, (name, _) in TEXTBOOK.items()}, SEEDS, many=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
