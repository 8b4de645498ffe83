"""Heads for tags on CoNLL-2003: strict entity F1, illegal sequences, and what prediction costs.

    python benchmarks/heads.py --data DIR                     # run every missing cell, then print the table
    python benchmarks/heads.py --data DIR --only conll2003/CRFHead/0   # only the cells whose names begin so
    python benchmarks/heads.py --print                        # print the table of the cells there are

Each is trained by the shipped `ner.yaml` with nothing else set but encoder, source, precision and seed. Prediction
of the 3,453 test sentences is timed in turns with that of an untrained linear head on the same encoder.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median

import _corpora
import _ours
from _cells import Cell, Measured
from _study import run_study
from lightning_clf import TokenClassifier
from lightning_clf.inference import Classifier, load_classifier
from lightning_clf.schemes import follows

STUDY = "heads"
HEADS: dict[str, dict[str, object]] = {
    "LinearHead": {"model.init_args.head": "LinearHead"},
    "CRFHead": {"model.init_args.head": "CRFHead"},
    "CRFHead-head_learning_rate": {
        "model.init_args.head": "CRFHead",
        "model.init_args.finetuning": "FineTuning",
        "model.init_args.finetuning.init_args.head_learning_rate": 1e-3,
    },
    "SpanHead": {"model.init_args.head": "SpanHead"},
}
SEEDS = (0, 1, 2)
TURNS = 5


def is_illegal(tags: Sequence[str]) -> bool:
    """Whether a sequence breaks the rules of IOB2."""
    return not all(follows(before, tag, "IOB2") for before, tag in zip(["O", *tags], [*tags, "O"], strict=True))


def measure(options: dict[str, object], seed: int) -> Measured:
    """Train one head, score its best epoch, and time its predictions.

    Args:
        options: What to set beside the shipped configuration.
        seed: The seed.
    """
    corpus = _corpora.load("conll2003")
    rows = [{"tokens": row["tokens"]} for row in corpus.splits["test"]]
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch, "run")
        common = {
            "data.init_args.source": str(_corpora.folder("conll2003")),
            "trainer.precision": _corpora.precision(),
        }
        metrics = _ours.fit_and_score("ner.yaml", seed, {**common, **options}, "best.ckpt", run)
        trained = load_classifier(run / "best")
        plain = TokenClassifier(str(_corpora.encoder()), labels=trained.labels.to_dict())
        plain.build()
        plain.max_length = trained.artefact.max_length
        sides = {"trained": trained, "linear": Classifier(plain.artefact)}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(TURNS):
            for name, side in sides.items():
                started = time.perf_counter()
                answers = side.predict(rows)
                seconds[name].append(time.perf_counter() - started)
                if name == "trained":
                    illegal = sum(is_illegal(answer["tags"]) for answer in answers)
    wanted = {name: value for name, value in metrics.items() if name.endswith("entity_f1") or name == "train_seconds"}
    ratio = median(seconds["trained"]) / median(seconds["linear"])
    found = {**wanted, "test/illegal": float(illegal), "test/prediction_ratio": ratio}
    return Measured(found, {"test": corpus.size("test")})


def table() -> str:
    """The cells there are as a Markdown table: mean and spread (highest minus lowest) over seeds."""
    lines = ["| head | seeds | entity F1, test | spread | dev | illegal sequences | prediction, to the linear head's |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for head in HEADS:
        records = [record for seed in SEEDS if (record := Cell("conll2003", head, seed, STUDY).read()) is not None]
        if not records:
            continue
        values = {key: [record["metrics"][key] for record in records] for key in records[0]["metrics"]}
        test = values["test/entity_f1"]
        means = {key: fmean(some) for key, some in values.items()}
        lines.append(
            f"| {head} | {len(records)} | {means['test/entity_f1']:.4f} | {max(test) - min(test):.4f} "
            f"| {means['val/entity_f1']:.4f} | {means['test/illegal']:.1f} | {means['test/prediction_ratio']:.2f} |"
        )
    return "\n".join(lines)


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run, with what measures it."""
    for seed in SEEDS:
        for head, keys in HEADS.items():
            yield Cell("conll2003", head, seed, STUDY), partial(measure, keys, seed)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan()):
        return code
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
