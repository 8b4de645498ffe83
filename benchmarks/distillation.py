"""Students of three layers with a teacher of six and without it: what they score, and how fast they answer.

    python benchmarks/distillation.py --data DIR                 # run every missing cell, then print the table
    python benchmarks/distillation.py --data DIR --only sst2     # run only the cells whose names begin so
    python benchmarks/distillation.py --data DIR --rows 300      # try each corpus once on few rows, and keep nothing
    python benchmarks/distillation.py --print                    # print the table of the cells there are

A cell fits a teacher by the corpus's shipped configuration, and four students of three layers by the same: with the
teacher's answers (`taught`), with its layers followed too (`followed`), and with neither (`layers`), all three begun
with layers of the teacher; and with layers of the encoder that the teacher itself began with (`alone`). The
best epoch on dev is scored on test. Speed is of the test split,
teacher and student in turns: of `predict` as a whole, and of the network alone.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

import _corpora
from _cells import Cell, Measured, table
from _ours import CONFIGS, fit_and_score
from _study import run_study
from lightning_clf.cpu import keep_freed_memory
from lightning_clf.inference import Classifier, load_classifier

STUDY = "distillation"
SEEDS = (0, 1, 2)
JUDGED = {"sst2": "test/accuracy", "conll2003": "test/entity_f1"}
LAYERS, ROUNDS, BATCH = 3, 7, 32
NO_HOLES = {"attention_probs_dropout_prob": 0.0}

Options = dict[str, object]


def _students(teacher: Path) -> dict[str, Options]:
    """What each student has besides the teacher's configuration."""
    from_teacher: Options = {"model.init_args.encoder_layers": LAYERS, "model.init_args.encoder": str(teacher)}

    def taught(**init_args: object) -> Options:
        asked = {"class_path": "Distillation", "init_args": {"teacher": str(teacher), **init_args}}
        return {**from_teacher, "model.init_args.distillation": json.dumps(asked)}

    followed = taught(hidden_weight=1.0, attention_weight=1.0)
    return {
        "taught": taught(),
        "followed": {**followed, "model.init_args.encoder_options": json.dumps(NO_HOLES)},
        "layers": from_teacher,
        "alone": {"model.init_args.encoder_layers": LAYERS},
    }


def measure(corpus: str, seed: int, rows: int | None = None) -> Measured:
    """Fits a teacher and its students, and scores and times them.

    Args:
        corpus: A key of ``JUDGED``.
        seed: The seed.
        rows: How many rows of each split; None takes all.
    """
    found: dict[str, float] = {}
    judged = JUDGED[corpus]
    with tempfile.TemporaryDirectory() as scratch:
        precision = _corpora.precision()
        source = {stage: str(_few(corpus, split, rows, Path(scratch))) for split, stage in _corpora.STAGES.items()}
        common: Options = {
            "data.init_args.source": json.dumps(source),
            "data.init_args.cache_dir": f"{scratch}/cache",
            "trainer.precision": precision,
        }
        fit = partial(fit_and_score, CONFIGS[corpus], seed, checkpoint="best.ckpt")
        teacher = Path(scratch, "teacher")
        metrics = fit(options=common, folder=teacher)
        found |= {"teacher": metrics[judged], "train_seconds": metrics["train_seconds"]}
        folders = {}
        for name, options in _students(teacher / "best").items():
            folders[name] = Path(scratch, name)
            metrics = fit(options={**common, **options}, folder=folders[name])
            found |= {name: metrics[judged], f"{name}/kept": metrics[judged] / found["teacher"]}
            found |= {f"{name}/seconds": metrics["train_seconds"]}
        found |= _speed(corpus, teacher / "best", folders["taught"] / "best")
    return Measured(found, {"test": _corpora.load(corpus).size("test")})


def _few(corpus: str, split: str, rows: int | None, folder: Path) -> Path:
    """The file of a split, or one of its first rows."""
    whole = _corpora.file(corpus, split)
    if rows is None:
        return whole
    few = folder / f"{split}.jsonl"
    few.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:rows]))
    return few


def _speed(corpus: str, teacher: Path, student: Path) -> dict[str, float]:
    """By how much a student is faster: `speed` of predict, `speed/network` of the network alone."""
    keep_freed_memory()
    rows = _corpora.load(corpus).splits["test"]
    both = [load_classifier(folder) for folder in (teacher, student)]
    answer = [partial(_predict, one, rows) for one in both]
    compute = [partial(_compute, one, rows) for one in both]
    return {"speed": _ratio(answer), "speed/network": _ratio(compute)}


def _predict(classifier: Classifier, rows: Sequence[_corpora.Row]) -> float:
    started = time.perf_counter()
    classifier.predict(rows)
    return time.perf_counter() - started


def _compute(classifier: Classifier, rows: Sequence[_corpora.Row]) -> float:
    encoded = classifier.inputs.encode([classifier.inputs.read(row, "") for row in rows])
    encoded.sort(key=lambda row: len(row["input_ids"]))
    batches = [classifier.collate(encoded[start : start + BATCH]) for start in range(0, len(encoded), BATCH)]
    started = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            classifier.network(batch)
    return time.perf_counter() - started


def _ratio(sides: Sequence[Callable[[], float]]) -> float:
    """The median of what the first takes for one second of the second, in turns."""
    for side in sides:
        side()  # what is done once only
    return median(sides[0]() / sides[1]() for _ in range(ROUNDS))


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run, with what measures it."""
    for seed in SEEDS:
        for corpus in JUDGED:
            yield Cell(corpus, "students", seed, STUDY), partial(measure, corpus, seed)


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, metavar="N", help="try each corpus once with N rows a split; keep nothing")


def _plan(options: argparse.Namespace) -> Iterator[tuple[Cell, partial[Measured]]]:
    if options.rows is None:
        yield from plan()
        return
    for corpus in JUDGED:
        if not options.print and corpus.startswith(options.only):
            print(corpus, json.dumps(measure(corpus, 0, options.rows).metrics, indent=2))


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table."""
    if code := run_study(__doc__, args, _plan, _add_rows):
        return code
    columns = {
        "teacher": "teacher",
        "taught": "taught",
        "of the teacher's": "taught/kept",
        "followed": "followed",
        "its layers alone": "layers",
        "the encoder's alone": "alone",
        "speed of predict": "speed",
        "of the network": "speed/network",
    }
    rows = {corpus: [Cell(corpus, "students", seed, STUDY) for seed in SEEDS] for corpus in JUDGED}
    print(table("Three layers of six", rows, columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
