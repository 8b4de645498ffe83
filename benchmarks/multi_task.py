"""Several tasks on one encoder, beside each task alone: what they score, and what they cost.

    python benchmarks/multi_task.py --data DIR                 # run every missing cell, then print the tables
    python benchmarks/multi_task.py --data DIR --only snips    # run only the cells whose names begin so
    python benchmarks/multi_task.py --print                    # print the tables of the cells there are

SNIPS: intent and slots of the same sentences, by a fit of each and by one of both, in which a sentence is encoded once
(`joint`); four epochs each, one after the other. The intent is read off the mean of a sentence's subwords. Then SST-2,
CoNLL-2003, SICK and GoEmotions with 4,000 rows of train each, by a fit of each and one of all, of four epochs; the
probabilities that each task's export of the latter has for 300 test rows are compared with those of stock transformers
in a process that cannot import this library. The best epoch on dev is scored.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import _corpora
from _calibrated import compare_with_stock
from _cells import Cell, Measured, Stopwatch, table
from _ours import succeed
from _study import run_study

STUDY = "multi_task"
SEEDS = (0, 1, 2)
EPOCHS, RATE, ROWS = 4, 2e-4, 4_000
SPLITS = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test",)}
FOUR = {
    "sentiment": ("sst2", "SST2DataModule", "SingleLabelClassifier", "f1_macro"),
    "entities": ("conll2003", "TokenDataModule", "TokenClassifier", "entity_f1"),
    "inference": ("sick", "NLIDataModule", "SingleLabelClassifier", "f1_macro"),
    "emotions": ("goemotions", "MultiLabelDataModule", "MultiLabelClassifier", "f1_macro"),
}
# with the plain loss nearly all probabilities of rare labels stay below a half, as multilabel.yaml says
OWN = {"emotions": {"loss": {"class_path": "AsymmetricLoss"}}}
INTENT = {"class_path": "SequenceDataModule", "init_args": {"text_column": "tokens", "label_column": "label"}}
SLOTS = {"class_path": "TokenDataModule", "init_args": {}}
# as the encoder was made to be read: beside slots, the first subword alone costs them more
READS = {"head": {"class_path": "LinearHead", "init_args": {"pooling": "mean"}}}

Config = dict[str, Any]


def fit(config: Config, seed: int, run: Path) -> dict[str, float]:
    """Fits by a configuration and scores the best epoch on test.

    Returns:
        The seconds of the fit as `Stopwatch` names them, and every metric of the test split.
    """
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    words = [f"--config={file}", f"--seed_everything={seed}", f"--trainer.default_root_dir={run}"]
    watch = Stopwatch()
    succeed(["fit", *words])
    metrics = watch.read()
    succeed(["test", f"--ckpt_path={run / 'best.ckpt'}"])
    for path in run.glob("test_*metrics.json"):
        metrics |= json.loads(path.read_text(encoding="utf-8"))
    return metrics


def _config(model: Config, data: Config) -> Config:
    common = {"encoder": str(_corpora.encoder()), "learning_rate": RATE}
    precision = _corpora.precision()
    trainer = {"max_epochs": EPOCHS, "gradient_clip_val": 1.0, "precision": precision, "enable_progress_bar": False}
    model = {**model, "init_args": {**common, **model.get("init_args", {})}}
    return {"model": model, "data": data, "trainer": trainer}


def _of(data: Config, source: Path, **more: object) -> Config:
    return {**data, "init_args": {**data.get("init_args", {}), "source": str(source), **more}}


def measure_snips(seed: int) -> Measured:
    """Intent and slots, each alone and both at once."""
    source = _corpora.folder("snips")
    intent, slots = _of(INTENT, source), _of(SLOTS, source)
    both = {
        "class_path": "MultiTaskDataModule",
        "init_args": {"tasks": {"intent": intent, "slots": slots}, "joint": True},
    }
    with tempfile.TemporaryDirectory() as scratch:
        alone = {"class_path": "SingleLabelClassifier", "init_args": READS}
        joint = {"class_path": "MultiTaskClassifier", "init_args": {"tasks": {"intent": READS}}}
        first = fit(_config(alone, intent), seed, Path(scratch, "intent"))
        second = fit(_config({"class_path": "TokenClassifier"}, slots), seed, Path(scratch, "slots"))
        together = fit(_config(joint, both), seed, Path(scratch, "both"))
    found = {
        "train_seconds": sum(fitted["train_seconds"] for fitted in (first, second, together)),
        "intent/alone": first["test/accuracy"],
        "intent/joint": together["test/intent/accuracy"],
        "slots/alone": second["test/entity_f1"],
        "slots/joint": together["test/slots/entity_f1"],
        "time": together["cpu_seconds"] / (first["cpu_seconds"] + second["cpu_seconds"]),
    }
    return Measured(found, {"test": len((source / "test.jsonl").read_bytes().splitlines())})


def measure_four(seed: int) -> Measured:
    """Four tasks of four kinds, each alone and all in one fit, and what stock pipelines make of the exports of that."""
    found: dict[str, float] = {}
    seconds = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        tasks, tests = {}, {}
        for name, (corpus, data, module, judged) in FOUR.items():
            target = Path(scratch, name)
            target.mkdir()
            for split, lines in _capped(_corpora.folder(corpus)).items():
                (target / f"{split}.jsonl").write_bytes(lines)
            tasks[name], tests[name] = _of({"class_path": data}, target), target / "test.jsonl"
            own = {"class_path": module, "init_args": OWN.get(name, {})}
            alone = fit(_config(own, tasks[name]), seed, Path(scratch, f"{name}_alone"))
            found[f"{name}/alone"] = alone[f"test/{judged}"]
            seconds += alone["train_seconds"]
        run = Path(scratch, "run")
        model = {"class_path": "MultiTaskClassifier", "init_args": {"tasks": OWN}}
        metrics = fit(_config(model, {"class_path": "MultiTaskDataModule", "init_args": {"tasks": tasks}}), seed, run)
        for name, (_, _, _, judged) in FOUR.items():
            found[f"{name}/score"] = metrics[f"test/{name}/{judged}"]
            stock = compare_with_stock(run / "best" / name, str(tests[name]), Path(scratch, "given.json"))
            found |= {f"{name}/{key}": value for key, value in stock.items()}
    return Measured({"train_seconds": seconds + metrics["train_seconds"], **found}, dict.fromkeys(FOUR, ROWS))


def _capped(folder: Path) -> dict[str, bytes]:
    """The lines of each split, of train the first of them."""
    found = {}
    for split, names in SPLITS.items():
        path = next(path for name in names if (path := folder / f"{name}.jsonl").exists())
        lines = path.read_bytes().splitlines(keepends=True)
        found[split] = b"".join(lines[:ROWS] if split == "train" else lines)
    return found


def plan() -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell in the order it is run, with what measures it."""
    for seed in SEEDS:
        yield Cell("snips", "joint", seed, STUDY), partial(measure_snips, seed)
    yield Cell("four", "tasks", 0, STUDY), partial(measure_four, 0)


def _four_tasks() -> str:
    record = Cell("four", "tasks", 0, STUDY).read()
    lines = [
        "| task | corpus | metric | alone | in one fit | stock probabilities apart by |",
        "|---|---|---|---:|---:|---:|",
    ]
    for name, (corpus, _, _, judged) in FOUR.items() if record else ():
        found = record["metrics"]
        scores = f"{found[f'{name}/alone']:.4f} | {found[f'{name}/score']:.4f}"
        lines.append(f"| {name} | {corpus} | {judged} | {scores} | {found[f'{name}/stock/difference']:.0e} |")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan()):
        return code
    columns = {
        "intent accuracy alone": "intent/alone",
        "in one fit": "intent/joint",
        "slot F1 alone": "slots/alone",
        "in one fit of both": "slots/joint",
        "core-seconds of one fit to those of two": "time",
    }
    print(table("SNIPS", {"intent and slots": [Cell("snips", "joint", seed, STUDY) for seed in SEEDS]}, columns) + "\n")
    print(_four_tasks())
    return 0


if __name__ == "__main__":
    sys.exit(main())
