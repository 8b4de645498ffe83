"""What `calibrate` does on real test splits, and whether stock transformers gives the probabilities it leaves behind.

    python benchmarks/calibration.py --data DIR                # run every missing cell, then print the tables
    python benchmarks/calibration.py --data DIR --only sick    # run only the cells whose names begin so
    python benchmarks/calibration.py --data DIR --runs RUNS    # keep the models there, and take those that are there
    python benchmarks/calibration.py --print                   # print the tables of the cells there are

The shipped configurations train on SST-2, SICK, TREC and 15,000 rows of GoEmotions, three seeds, and on CoNLL-2003,
one; the last epoch's weights are calibrated on dev, which chose nothing, and measured on test. The probabilities of 300
test rows are then compared with those of stock transformers in a process that cannot import this library: of texts by a
pipeline, of words by the model at a word's first subword. Entities are compared with a pipeline's where it takes our
words for words, which it does not where a word has punctuation inside; an entity that begins with no B- is one to it,
and none to strict scoring.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from _calibrated import LEVEL, RISK, run
from _cells import Cell, Measured, table
from _study import add_runs, run_study

STUDY = "calibration"
CORPORA = {"sst2": (0, 1, 2), "sick": (0, 1, 2), "trec": (0, 1, 2), "goemotions": (0, 1, 2), "conll2003": (0,)}


def cell(corpus: str, seed: int) -> Cell:
    """The cell of a corpus and a seed."""
    return Cell(corpus, "calibrated", seed, STUDY)


def exactness() -> str:
    """How far our figures and probabilities are from others', the largest over seeds, as a Markdown table."""
    lines = ["| corpus | T, ECE and Brier score, to SciPy's and NumPy's | probabilities, to stock transformers' |"]
    lines.append("|---|---:|---:|")
    for corpus, seeds in CORPORA.items():
        found = [record["metrics"] for seed in seeds if (record := cell(corpus, seed).read()) is not None]
        if found:
            apart = max((one["independent"] for one in found if "independent" in one), default=None)
            shown = "-" if apart is None else f"{apart:.0e}"
            lines.append(f"| {corpus} | {shown} | {max(one['stock/difference'] for one in found):.0e} |")
    return "\n".join(lines)


def entities() -> str:
    """What a stock pipeline makes of sentences, as a line."""
    record = cell("conll2003", 0).read()
    if record is None:
        return ""
    found = record["metrics"]
    return (
        f"conll2003: {found['stock/split']:.0f} sentences have words that a stock pipeline splits; of the others it "
        f"finds other entities in {found['stock/other']:.0f}, and elsewhere their probabilities are "
        f"{found['stock/entities']:.0e} apart at most"
    )


def plan(runs: Path | None) -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run."""
    for seed in (0, 1, 2):
        for corpus, seeds in CORPORA.items():
            if seed in seeds:
                yield cell(corpus, seed), partial(run, corpus, seed, runs)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan(options.runs), add_runs):
        return code
    cells = {corpus: [cell(corpus, seed) for seed in seeds] for corpus, seeds in CORPORA.items()}
    single = {corpus: cells[corpus] for corpus in cells if corpus not in ("goemotions", "conll2003")}
    measures = {f"{name} {when}": f"{name}/{when}" for name in ("nll", "ece", "brier") for when in ("before", "after")}
    print(table("test, mean", cells, {"T": "temperature", **measures}, spread=False) + "\n")
    promises = {
        f"coverage of sets at {LEVEL:g}": "conformal/coverage",
        f"risk at {RISK:g}": "abstention/risk",
        "answered": "abstention/coverage",
    }
    print(table("test", single, promises) + "\n")
    scores = {f"{name} {when}": f"f1_{name}/{when}" for name in ("macro", "micro") for when in ("half", "tuned")}
    print(table("F1 on test", {"goemotions": cells["goemotions"]}, scores) + "\n")
    print(exactness() + "\n")
    print(entities())
    return 0


if __name__ == "__main__":
    sys.exit(main())
