"""The table of classes and the confusion matrix at the end of `validate` and `test`."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_clf.callbacks.folder import run_files
from lightning_clf.files import write_atomically
from lightning_clf.metrics import ClassRow, MetricSet
from lightning_clf.modules.base import ClassifierModule


class ClassReport(Callback):
    """Prints precision, recall, F1 and support of each class, and writes them to the run folder.

    For a stage such as `test` it writes `test_metrics.json` (every number), `test_classes.csv`, `test_classes.json`,
    and `test_confusion.csv` and `test_confusion.json` with what was taken for what: rows are right, columns predicted.
    For many labels the confusion is one row a label (true and false, negatives and positives). During `fit` it is
    silent.

    Args:
        dirpath: The folder it writes to; `None` takes that of the run.
    """

    def __init__(self, dirpath: str | None = None) -> None:
        self.dirpath = dirpath

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a `validate`."""
        if trainer.state.fn == "validate":
            self._report(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a `test`."""
        self._report(trainer, pl_module, "test")

    def _report(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not isinstance(pl_module, ClassifierModule) or not trainer.is_global_zero:
            return
        scores = pl_module.stage_scores(stage)
        metrics = scores.metrics
        # what a module of one's own has logged besides, and ours as they were before a logger rounded them
        numbers = {name: float(value) for name, value in trainer.callback_metrics.items()}
        numbers |= {f"{stage}/{name}": float(value) for name, value in scores.compute().items()}
        rows = metrics.per_class()
        print(_table(rows, {name: value for name, value in numbers.items() if name.count("/") == 1}))
        folder = Path(self.dirpath) if self.dirpath is not None else run_files(trainer)
        prefix = unused_prefix(folder, stage, numbers)
        write_report(folder, prefix, numbers, metrics)
        print(f"written: {folder / prefix}_*.csv and .json")


def unused_prefix(folder: Path, stage: str, numbers: dict[str, float]) -> str:
    """What a report's files start with: the stage, or `stage-2` … where other numbers than these stand already."""
    for number in itertools.count(1):
        prefix = stage if number == 1 else f"{stage}-{number}"
        file = folder / f"{prefix}_metrics.json"
        if not file.is_file() or file.read_text(encoding="utf-8") == _json(_numbers(numbers)):
            return prefix
    raise AssertionError("there is always another number")


def _numbers(numbers: dict[str, float]) -> dict[str, float | None]:
    # JSON has no NaN: what a split leaves undefined is null
    return {name: None if isnan(value) else value for name, value in numbers.items()}


def write_report(folder: Path, stage: str, numbers: dict[str, float], metrics: MetricSet) -> None:
    """Write the report's files.

    Args:
        folder: The run folder.
        stage: What the files' names start with: the stage, with a number where it was reported before.
        numbers: Every metric by its name.
        metrics: The metrics, computed.
    """
    _write_json(folder / f"{stage}_metrics.json", _numbers(numbers))
    rows = metrics.per_class()
    if rows:
        _write_csv(folder / f"{stage}_classes.csv", ClassRow._fields, rows)
        _write_json(folder / f"{stage}_classes.json", [row._asdict() for row in rows])
    confusion = metrics.confusion()
    if confusion is not None:
        header, table = _confusion_table(confusion, [row.label for row in rows])
        _write_csv(folder / f"{stage}_confusion.csv", header, table)
        _write_json(
            folder / f"{stage}_confusion.json", {"columns": header[1:], "rows": {row[0]: row[1:] for row in table}}
        )


def _confusion_table(confusion: Tensor, names: list[str]) -> tuple[list[str], list[list[Any]]]:
    if confusion.ndim == 3:  # many labels: one 2x2 table each
        header = ["label", "true_negative", "false_positive", "false_negative", "true_positive"]
        return header, [[name, *table.flatten().tolist()] for name, table in zip(names, confusion, strict=True)]
    axis = names if len(confusion) == len(names) else [*names, "none"]  # spans may be missed, or made up
    return ["gold", *axis], [[name, *row.tolist()] for name, row in zip(axis, confusion, strict=True)]


def _table(rows: Sequence[ClassRow], numbers: dict[str, float]) -> str:
    width = max([len("label"), *(len(row.label) for row in rows), *(len(name) for name in numbers)])
    lines = []
    if rows:
        lines.append(f"{'label':<{width}}  precision  recall      f1  support")
    for row in rows:
        lines.append(
            f"{row.label:<{width}}  {row.precision:>9.4f}  {row.recall:>6.4f}  {row.f1:>6.4f}  {row.support:>7d}"
        )
    lines.append("")
    lines += [f"{name:<{width}}  {value:>9.4f}" for name, value in numbers.items()]
    return "\n".join(lines)


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with write_atomically(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_json(path: Path, value: Any) -> None:
    with write_atomically(path) as file:
        file.write(_json(value))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
