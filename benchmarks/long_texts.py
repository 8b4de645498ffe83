"""Texts longer than the window: read in several windows, beside cut off after one.

    python benchmarks/long_texts.py --data DIR                  # run every missing cell, then print the tables
    python benchmarks/long_texts.py --data DIR --only imdb_2k/  # run only the cells whose names begin so
    python benchmarks/long_texts.py --print                     # print the tables of the cells there are

2,000 reviews of films, whose median is 225 subwords; windows of 128, 256 and 512 that repeat a quarter of the one
before, and the same lengths cut off. Three epochs of all-MiniLM-L6-v2 by `long.yaml`; the last one's weights answer
2,000 others. Then the memory that a document takes to predict, by its words, in a process of its own each.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

import _corpora
import _ours
from _cells import Cell, Measured, table
from _study import run_study

STUDY = "long_texts"
SEEDS = (0, 1, 2)
LENGTHS = (128, 256, 512)
EPOCHS, RATE, BATCH, DRAWN = 3, 1e-4, 16, 4
WORDS = (10_000, 50_000, 100_000)


def measure(length: int, seed: int, *, windows: bool) -> Measured:
    """Trains on the reviews and scores the others.

    Args:
        length: Of a window, in subwords.
        seed: The seed.
        windows: Whether what lies beyond the first window is read.
    """
    files = {split: str(_corpora.file("imdb_2k", split)) for split in ("train", "test")}
    options: dict[str, object] = {
        # nothing is chosen on it: the last weights are scored
        "data.init_args.source": json.dumps({**files, "val": files["test"]}),
        "data.init_args.max_length": length,
        "data.init_args.stride": length // 4 if windows else "null",
        "data.init_args.max_windows": DRAWN if windows else "null",
        "data.init_args.batch_size": BATCH,
        "model.init_args.learning_rate": RATE,
        "trainer.max_epochs": EPOCHS,
        "trainer.limit_val_batches": 0,
        "trainer.precision": _corpora.precision(),
    }
    metrics = _ours.fit_and_score("long.yaml", seed, options, "last.ckpt")
    wanted = {key: metrics[key] for key in ("train_seconds", "test/accuracy", "test/f1_macro")}
    return Measured(wanted, {"train": 2_000, "test": 2_000})


def measure_memory(words: int) -> Measured:
    """How much higher the resident memory of a process peaks once it answers a document of so many words."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, "predict", str(words)], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    return Measured({"train_seconds": seconds, **json.loads(done.stdout.splitlines()[-1])}, {"words": words})


def predict(words: int) -> None:
    """Answers one document and prints what it took as JSON: MiB of memory above that of a short text, and seconds."""
    from lightning_clf import SingleLabelClassifier
    from lightning_clf.inference import Classifier

    module = SingleLabelClassifier(str(_corpora.encoder()), labels={"names": ["bad", "good"], "kind": "single"})
    module.max_length, module.stride = 256, 64
    module.build()
    classifier = Classifier(module.artefact)
    classifier.predict(["a short text"])
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    classifier.predict([" ".join(f"{number} films" for number in range(words // 2))])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"memory": grown / 1024, "seconds": time.perf_counter() - started}))


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run, with what measures it."""
    for words in WORDS:
        yield Cell("document", str(words), 0, STUDY), partial(measure_memory, words)
    for seed in SEEDS:
        for length in LENGTHS:
            yield Cell("imdb_2k", f"cut_{length}", seed, STUDY), partial(measure, length, seed, windows=False)
            yield Cell("imdb_2k", f"windows_{length}", seed, STUDY), partial(measure, length, seed, windows=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan()):
        return code
    rows = {
        f"{how} {length}": [Cell("imdb_2k", f"{name}_{length}", seed, STUDY) for seed in SEEDS]
        for name, how in (("cut", "cut off after"), ("windows", "windows of"))
        for length in LENGTHS
    }
    columns = {"accuracy": "test/accuracy", "macro F1": "test/f1_macro", "seconds of training": "train_seconds"}
    print(table("imdb_2k", rows, columns) + "\n")
    documents = {f"{words:,} words": [Cell("document", str(words), 0, STUDY)] for words in WORDS}
    print(table("one document", documents, {"MiB more": "memory", "seconds": "seconds"}, spread=False))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["predict"]:
        predict(int(sys.argv[2]))
        sys.exit(0)
    sys.exit(main())
