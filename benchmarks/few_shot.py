"""Few labelled rows: SetFit as we train it, as its own package does, and plain fine-tuning, on the same rows.

    python benchmarks/few_shot.py --data DIR                  # run every missing cell, then print the tables
    python benchmarks/few_shot.py --data DIR --only sst2/     # run only the cells whose names begin so
    python benchmarks/few_shot.py --print                     # print the tables of the cells there are

Eight rows a label of SST-2, emotion and TREC with ten seeds, and of banking77 with three; the seed draws the rows too.
Both SetFits train one epoch of 40 pairs a row at the same rate, of 10 on banking77. On the first three, ours and plain
fine-tuning by `text.yaml` with 8, 16, 32, 64 and 128 rows a label, from 16 on with three seeds; 64 and 128 rows have as
many pairs as 32. All are scored on the corpus's test split, with the last weights.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import _corpora
import _ours
from _cells import Cell, Measured, Stopwatch, table
from _study import run_study
from lightning_clf.data.shots import draw_shots

STUDY = "few_shot"
SEEDS = {"sst2": 10, "emotion": 10, "trec": 10, "banking77": 3}
SHOTS = (8, 16, 32, 64, 128)
CURVE = 3
PAIRS = {"sst2": 40, "emotion": 40, "trec": 40, "banking77": 10}  # a row; banking77 has 77 labels
MOST = 32  # rows a label from which on there are no more pairs
RATE, BATCH = 1e-4, 16

Rows = list[dict[str, str]]


def rows_of(corpus: str, split: str) -> Rows:
    """The rows of a split, with labels that are strings."""
    path = _corpora.folder(corpus) / f"{split}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [{"text": row["text"], "label": str(row["label"])} for row in map(json.loads, lines)]


def drawn(corpus: str, shots: int, seed: int) -> tuple[Rows, list[str]]:
    """The rows that `FewShotDataModule` draws, and the labels in its order."""
    rows = rows_of(corpus, "train")
    labels = sorted({row["label"] for row in rows})
    kept, _ = draw_shots([labels.index(row["label"]) for row in rows], len(labels), shots, seed)
    return [rows[place] for place in kept], labels


def ours(corpus: str, config: str, shots: int, seed: int, options: Mapping[str, object]) -> Measured:
    """Trains by one of our configurations on the rows drawn.

    Args:
        corpus: A key of ``SEEDS``.
        config: A shipped configuration.
        shots: How many rows a label.
        seed: Of the rows and of training.
        options: Further keys.
    """
    rows, _ = drawn(corpus, shots, seed)
    splits = {"train": rows, "dev": rows, "test": rows_of(corpus, "test")}
    with tempfile.TemporaryDirectory() as scratch:
        for split, some in splits.items():
            lines = "".join(json.dumps(row) + "\n" for row in some)
            Path(scratch, f"{split}.jsonl").write_text(lines, encoding="utf-8")
        common: dict[str, object] = {"data.init_args.source": scratch, "trainer.logger": "false"}
        if config == "setfit.yaml":
            common["data.init_args.pairs"] = pairs_a_row(corpus, shots) * len(rows)
        metrics = _ours.fit_and_score(config, seed, {**common, **options}, "last.ckpt")
    wanted = {key: metrics[key] for key in ("train_seconds", "cpu_seconds", "test/accuracy", "test/f1_macro")}
    return Measured(wanted, {split: len(some) for split, some in splits.items()})


def pairs_a_row(corpus: str, shots: int) -> int:
    """How many pairs SetFit trains on, for each row."""
    return PAIRS[corpus] * min(shots, MOST) // shots


def package(corpus: str, shots: int, seed: int) -> Measured:
    """Trains by the package `setfit` on the rows drawn. Arguments are those of `ours`."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.metrics import accuracy_score, f1_score

    rows, labels = drawn(corpus, shots, seed)
    test = rows_of(corpus, "test")
    train = Dataset.from_list([{"text": row["text"], "label": labels.index(row["label"])} for row in rows])
    with tempfile.TemporaryDirectory() as scratch:
        watch = Stopwatch()
        arguments = TrainingArguments(
            output_dir=scratch,
            batch_size=BATCH,
            num_epochs=1,
            num_iterations=pairs_a_row(corpus, shots) // 2,  # so many that are alike, and as many that are not
            body_learning_rate=RATE,
            seed=seed,
            report_to="none",
            save_strategy="no",
        )
        model = SetFitModel.from_pretrained(str(_corpora.encoder()))
        Trainer(model=model, args=arguments, train_dataset=train).train()
        seconds = watch.read()
    answers = model.predict([row["text"] for row in test], batch_size=64, as_numpy=True)
    right = [labels.index(row["label"]) for row in test]
    scores = {
        "test/accuracy": accuracy_score(right, answers),
        "test/f1_macro": f1_score(right, answers, average="macro"),
    }
    return Measured({**seconds, **scores}, {"train": len(rows), "test": len(test)})


def cell(corpus: str, system: str, shots: int, seed: int) -> Cell:
    """The cell of a corpus, a system, rows a label and a seed."""
    return Cell(corpus, f"{system}_{shots}", seed, STUDY)


def shots_of(corpus: str, seed: int) -> tuple[int, ...]:
    """How many rows a label are tried with a seed."""
    return SHOTS if corpus != "banking77" and seed < CURVE else SHOTS[:1]


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run."""
    setfit = {
        "data.init_args.shots": "null",
        "data.init_args.batch_size": BATCH,
        "model.init_args.learning_rate": RATE,
    }
    plain = {"data.init_args.batch_size": BATCH, "trainer.max_epochs": 10}
    for seed in range(max(SEEDS.values())):
        for corpus in (corpus for corpus, seeds in SEEDS.items() if seed < seeds):
            yield cell(corpus, "package", 8, seed), partial(package, corpus, 8, seed)
            for shots in shots_of(corpus, seed):
                yield cell(corpus, "ours", shots, seed), partial(ours, corpus, "setfit.yaml", shots, seed, setfit)
                yield cell(corpus, "plain", shots, seed), partial(ours, corpus, "text.yaml", shots, seed, plain)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan()):
        return code
    columns = {"accuracy": "test/accuracy", "macro F1": "test/f1_macro", "core-seconds of training": "cpu_seconds"}
    for corpus, seeds in SEEDS.items():
        shown = [(system, shots) for system in ("package", "ours", "plain") for shots in SHOTS]
        rows = {
            f"{system}, {shots} rows a label": [cell(corpus, system, shots, seed) for seed in range(seeds)]
            for system, shots in shown
        }
        print(table(corpus, rows, columns) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
