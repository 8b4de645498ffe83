"""GoEmotions in full by the shipped configuration: F1 on test at 0.5, and at thresholds tuned on dev.

    python benchmarks/goemotions.py --data DIR             # train where it has not been, and print the table
    python benchmarks/goemotions.py --data DIR --print     # print the table of the cells there are

A threshold a label is the probability at which its F1 on dev is highest. Test has no say in it.
"""

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

import _corpora
import _ours
from _cells import Cell, Measured, run_missing
from _thresholds import at_half_and_tuned
from lightning_clf.inference import load_classifier

STUDY = "goemotions"
CONFIGS = ("multilabel_imbalanced.yaml", "multilabel.yaml")
SEED = 0


def measure(config: str, seed: int) -> Measured:
    """Train by a configuration with nothing set but encoder, source and precision, and score its best epoch.

    Args:
        config: The configuration.
        seed: The seed.
    """
    corpus = _corpora.load("goemotions")
    options: dict[str, object] = {
        "data.init_args.source": str(_corpora.folder("goemotions")),
        "trainer.precision": _corpora.precision(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch, "run")
        trained = _ours.fit_and_score(config, seed, options, "best.ckpt", run)
        classifier = load_classifier(run / "best")
    labels = classifier.labels.names
    truth, probabilities = {}, {}
    for stage in ("val", "test"):
        rows = corpus.splits[stage]
        answers = classifier.predict([{"text": row["text"]} for row in rows], batch_size=64)
        truth[stage] = np.array([[label in row["labels"] for label in labels] for row in rows])
        probabilities[stage] = np.array([[answer["probabilities"][label] for label in labels] for answer in answers])
    found = at_half_and_tuned(labels, truth, probabilities)
    wanted = {name: value for name, value in found.items() if name.count("/") == 1}
    return Measured({"train_seconds": trained["train_seconds"], **wanted}, {"test": len(truth["test"])})


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--print", action="store_true", help="run nothing")
    options = parser.parse_args(args)
    cells = {config: Cell("goemotions", config.removesuffix(".yaml"), SEED, STUDY) for config in CONFIGS}
    try:
        run_missing([] if options.print else [(cells[config], partial(measure, config, SEED)) for config in CONFIGS])
    except _corpora.MissingError as error:
        print(f"goemotions.py: {error}", file=sys.stderr)
        return 2
    columns = [f"test/f1_{kind}_{how}" for how in ("tuned", "at_half") for kind in ("macro", "micro")]
    print("| configuration | macro F1, tuned | micro F1, tuned | macro F1 at 0.5 | micro F1 at 0.5 | minutes |")
    print("|---|---:|---:|---:|---:|---:|")
    for config, cell in cells.items():
        if (record := cell.read()) is not None:
            numbers = [f"{record['metrics'][name]:.4f}" for name in columns]
            print(f"| {config} | {' | '.join(numbers)} | {record['train_seconds'] / 60:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
