"""The table of classes and the confusion matrix at the end of `validate` and `test`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from lightning_clf.callbacks.folder import run_files
from lightning_clf.digest import weights_digest
from lightning_clf.files import counted, write_atomically
from lightning_clf.metrics import ClassRow, MetricSet
from lightning_clf.modules.stage import ScoredModule


class ClassReport(Callback):
    """Prints precision, recall, F1 and support of each class, and writes them to the run folder.

    For a stage such as `test` it writes `test_metrics.json` (every number), `test_classes.csv`, `test_classes.json`,
    and `test_confusion.csv` and `test_confusion.json` with what was taken for what: rows are right, columns predicted.
    For many labels the confusion is one row a label (true and false, negatives and positives). `test_weights.json` has
    the digest of the weights that were scored, by which an export tells whether the scores are its own. During `fit` it
    is silent. Of several tasks each has files of its own, such as `test_TASK_metrics.json`, but for the digest.

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
        if not isinstance(pl_module, ScoredModule) or not trainer.is_global_zero:
            return
        # what a module of one's own has logged besides, and ours as they were before a logger rounded them
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        logged |= {f"{stage}/{name}": float(value) for name, value in pl_module.epoch_values(stage).items()}
        folder = Path(self.dirpath) if self.dirpath is not None else run_files(trainer)
        tasks = pl_module.scores(stage)
        for task, scores in tasks.items():
            if scores.is_empty:
                continue
            others = tuple(f"{stage}/{other}" for other in tasks if other != task)
            numbers = {name: value for name, value in logged.items() if not name.startswith(others)}
            own = {name: name.removeprefix(f"{stage}/").removeprefix(task) for name in numbers}
            shown = {name: value for name, value in numbers.items() if "/" not in own[name]}
            print(_table(scores.metrics.per_class(), shown))
            wanted = folder / "_".join(part for part in (stage, task.removesuffix("/")) if part)
            written = write_report(wanted, numbers, scores.metrics)
            print(f"written: {written}_*.csv and .json")
            network = getattr(pl_module, "network", None)
            if stage == "test" and not task and isinstance(network, nn.Module):
                _write_json(_file(written, "weights.json"), {"sha256": weights_digest(network)})


def write_report(wanted: Path, numbers: dict[str, float], metrics: MetricSet) -> Path:
    """Write the report's files.

    Args:
        wanted: What the files' paths start with, but for a number where other scores than these stand already.
        numbers: Every metric by its name.
        metrics: The metrics, computed.

    Returns:
        What the files' paths start with.
    """
    # JSON has no NaN: what a split leaves undefined is null
    scores = {name: None if isnan(value) else value for name, value in numbers.items()}
    stage = next(path for path in counted(wanted) if _is_for(_file(path, "metrics.json"), scores))
    _write_json(_file(stage, "metrics.json"), scores)
    rows = metrics.per_class()
    if rows:
        _write_csv(_file(stage, "classes.csv"), ClassRow._fields, rows)
        _write_json(_file(stage, "classes.json"), [row._asdict() for row in rows])
    confusion = metrics.confusion()
    if confusion is not None:
        header, table = _confusion_table(confusion, [row.label for row in rows])
        _write_csv(_file(stage, "confusion.csv"), header, table)
        _write_json(_file(stage, "confusion.json"), {"columns": header[1:], "rows": {row[0]: row[1:] for row in table}})
    return stage


def _file(stage: Path, name: str) -> Path:
    return stage.with_name(f"{stage.name}_{name}")


def _is_for(file: Path, scores: dict[str, float | None]) -> bool:
    return not file.is_file() or json.loads(file.read_text(encoding="utf-8")) == scores


def _confusion_table(confusion: Tensor, names: list[str]) -> tuple[list[str], list[list[Any]]]:
    if confusion.ndim == 3:  # many labels: one 2x2 table each
        header = ["label", "true_negative", "false_positive", "false_negative", "true_positive"]
        return header, [[name, *table.flatten().tolist()] for name, table in zip(names, confusion, strict=True)]
    axis = confusion_names(confusion, names)
    return ["gold", *axis], [[name, *row.tolist()] for name, row in zip(axis, confusion, strict=True)]


def confusion_names(confusion: Tensor, names: list[str]) -> list[str]:
    """What rows and columns of a confusion are called: spans may be missed too, or made up."""
    return names if len(confusion) == len(names) else [*names, "none"]


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
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
