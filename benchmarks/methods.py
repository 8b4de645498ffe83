"""What the rest of the toolbox does to one task: heads, policies, smoothing and the like, each alone beside none.

    python benchmarks/methods.py --data DIR                    # run every missing cell, then print the tables
    python benchmarks/methods.py --data DIR --only trec/LoRA   # run only the cells whose names begin so
    python benchmarks/methods.py --print                       # print the tables of the cells there are

On TREC, whose six labels are as uneven as the corpus has them: three epochs, and the last one's weights are scored.
The first row is plain cross-entropy, of `benchmarks/imbalance.py`. Then labels that are ordered: the relatedness of
SICK's pairs, 1 to 5, rounded, in classes of their own and as steps. Then heads and losses for tags, on the first 4,000
sentences of CoNLL-2003 for three epochs.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import _corpora
import _ours
from _cells import Cell, Measured, table
from _imbalanced import RECIPE, Options, loss, measure
from _study import run_study
from lightning_clf.inference import load_classifier

STUDY = "methods"
SEEDS = (0, 1, 2)


def _part(key: str, name: str, **init_args: object) -> Options:
    return {f"model.init_args.{key}": json.dumps({"class_path": name, "init_args": init_args})}


def _tuned(**init_args: object) -> Options:
    return _part("finetuning", "FineTuning", **init_args)


_AVERAGE = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.99}}
METHODS: dict[str, Options] = {
    "label_smoothing 0.1": loss("CrossEntropyLoss", label_smoothing=0.1),
    "r_drop 1.0": {"model.init_args.r_drop": 1.0},
    "LinearHead": _part("head", "LinearHead"),
    "MLPHead": _part("head", "MLPHead"),
    "LabelAttentionHead": _part("head", "LabelAttentionHead"),
    "freeze embeddings": _tuned(freeze="embeddings"),
    "freeze encoder": _tuned(freeze="encoder"),
    "freeze_layers 3": _tuned(freeze_layers=3),
    "layer_decay 0.9": _tuned(layer_decay=0.9),
    "head_learning_rate 1e-3": _tuned(head_learning_rate=1e-3),
    "unfreeze_over 0.5": _tuned(unfreeze_over=0.5),
    "LoRA, learning_rate 1e-3": {
        **_part("finetuning", "LoRA", rank=8, alpha=16.0),
        "model.init_args.learning_rate": 1e-3,
    },
    "attention whole": {"model.init_args.encoder_options": json.dumps({"attention_probs_dropout_prob": 0.0})},
    "EMA 0.99": {"trainer.callbacks": json.dumps([_AVERAGE])},
}
ORDERED: dict[str, Options] = {"cross-entropy": {}, "OrdinalHead": _part("head", "OrdinalHead")}
TAGS: dict[str, Options] = {
    "ArchitectureHead": {},
    "LinearHead": _part("head", "LinearHead"),
    "CRFHead": _part("head", "CRFHead"),
    "SpanHead": _part("head", "SpanHead"),
    "DiceLoss": loss("DiceLoss"),
    "WeightedSum with dice 0.5": loss(
        "WeightedSum", losses=[{"class_path": "CrossEntropyLoss"}, {"class_path": "DiceLoss"}], weights=[1.0, 0.5]
    ),
    "train_continuations": {"model.init_args.train_continuations": "true"},
}
SENTENCES, TAG_RATE = 4_000, 2e-4  # the rate of `ner.yaml`


def cell(corpus: str, method: str, seed: int) -> Cell:
    """The cell of a corpus, a method and a seed."""
    return Cell(corpus, re.sub(r"[^\w.]+", "_", method), seed, STUDY)


def measure_ordered(options: Options, seed: int) -> Measured:
    """Trains on rounded relatedness and scores the last epoch's weights.

    Args:
        options: Keys of our command.
        seed: The seed.

    Returns:
        `test/f1_macro`, `test/accuracy` and `test/error`, the mean of how many steps an answer is off.
    """
    corpus = _corpora.load("sick")
    splits = {
        stage: [{"a": row["text"], "b": row["text_pair"], "label": str(round(row["score"]))} for row in rows]
        for stage, rows in corpus.splits.items()
    }
    common: Options = {
        "data.init_args.text_column": "a",
        "data.init_args.text_pair_column": "b",
        "data.init_args.labels": json.dumps(["1", "2", "3", "4", "5"]),
        "model.init_args.learning_rate": RECIPE.learning_rate,
        "trainer.max_epochs": RECIPE.epochs,
        "trainer.precision": _corpora.precision(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        for stage, rows in splits.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            Path(scratch, f"{stage}.jsonl").write_text(lines, encoding="utf-8")
        common["data.init_args.source"] = scratch
        run = Path(scratch, "run")
        metrics = _ours.fit_and_score("text.yaml", seed, {**common, **options}, "last.ckpt", run)
        answers = load_classifier(run / "last.ckpt").predict(splits["test"])
    off = [abs(int(answer["label"]) - int(row["label"])) for answer, row in zip(answers, splits["test"], strict=True)]
    wanted = {key: metrics[key] for key in ("train_seconds", "test/f1_macro", "test/accuracy")}
    return Measured(wanted | {"test/error": sum(off) / len(off)}, {stage: len(rows) for stage, rows in splits.items()})


def measure_tags(options: Options, seed: int) -> Measured:
    """Trains on a part of CoNLL-2003 and scores the last epoch's weights.

    Args:
        options: Keys of our command.
        seed: The seed.

    Returns:
        `test/entity_f1` and `val/entity_f1`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = {stage: str(_corpora.file("conll2003", name)) for stage, name in (("val", "dev"), ("test", "test"))}
        lines = _corpora.file("conll2003", "train").read_bytes().splitlines(keepends=True)
        Path(scratch, "train.jsonl").write_bytes(b"".join(lines[:SENTENCES]))
        common: Options = {
            "data.init_args.source": json.dumps({**files, "train": str(Path(scratch, "train.jsonl"))}),
            "model.init_args.learning_rate": TAG_RATE,
            "trainer.max_epochs": RECIPE.epochs,
            "trainer.precision": _corpora.precision(),
        }
        metrics = _ours.fit_and_score("ner.yaml", seed, {**common, **options}, "last.ckpt")
    wanted = {key: metrics[key] for key in ("train_seconds", "val/entity_f1", "test/entity_f1")}
    return Measured(wanted, {"train": SENTENCES})


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run, with what measures it."""
    for seed in SEEDS:
        for method, options in METHODS.items():
            yield cell("trec", method, seed), partial(measure, "trec", options, seed)
        for method, options in ORDERED.items():
            yield cell("sick", method, seed), partial(measure_ordered, options, seed)
        for method, options in TAGS.items():
            yield cell("conll2003", method, seed), partial(measure_tags, options, seed)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan()):
        return code
    plain = {"none": [Cell("trec", "cross_entropy", seed, "imbalance") for seed in SEEDS]}
    each = {method: [cell("trec", method, seed) for seed in SEEDS] for method in METHODS}
    print(table("TREC", {**plain, **each}, {"macro F1": "test/f1_macro", "accuracy": "test/accuracy"}) + "\n")
    ordered = {method: [cell("sick", method, seed) for seed in SEEDS] for method in ORDERED}
    columns = {"macro F1": "test/f1_macro", "accuracy": "test/accuracy", "mean error": "test/error"}
    print(table("SICK, in steps", ordered, columns) + "\n")
    tags = {method: [cell("conll2003", method, seed) for seed in SEEDS] for method in TAGS}
    print(table("CoNLL-2003, 4,000 sentences", tags, {"entity F1": "test/entity_f1"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
