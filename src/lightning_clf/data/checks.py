"""What is said of numbers and of whole splits: counts, warnings, and what no training could use."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_clf.counts import ClassCounts
from lightning_clf.data.encoded import Summary
from lightning_clf.data.rows import UnknownLabelError
from lightning_clf.data.split import DatasetSplit, Split
from lightning_clf.errors import InputError
from lightning_clf.labels import Kind, LabelSpace


def check_fraction(key: str, value: float) -> float:
    """Hold a number against the bounds of a share.

    Raises:
        InputError: If it is not between 0 and 1.
    """
    if not (isinstance(value, Real) and 0 < value < 1):
        raise InputError(f"data.{key} is {value!r}: give a number between 0 and 1, such as 0.1")
    return value


def column(rows: Dataset, name: str) -> pa.ChunkedArray:
    """A column of encoded rows, lists flattened, without making Python objects of it."""
    return rows.select_columns([name]).with_format("arrow")[:][name]


def sum_column(rows: Dataset, name: str) -> int:
    """The sum of a column of numbers."""
    return int(pc.sum(column(rows, name)).as_py() or 0) if name in rows.column_names else 0


def count_labels(rows: Dataset, labels: LabelSpace) -> ClassCounts:
    """How often each label occurs in encoded rows."""
    if labels.kind == "score":
        return ClassCounts(labels, (len(rows),), len(rows))
    targets = column(rows, "target")
    values = pc.list_flatten(targets) if pa.types.is_list(targets.type) else targets
    counts = np.bincount(values.to_numpy(), minlength=len(labels)).tolist()
    return ClassCounts(labels, tuple(counts), len(rows) if labels.kind == "multi" else len(values))


def check_split(name: str, split: Split, rows: Dataset, summary: Summary, labels: LabelSpace) -> None:
    """Warn of what is odd about a split, and refuse what cannot be trained on.

    Args:
        name: `train`, `val` or `test`.
        split: Where the rows come from.
        rows: The encoded rows.
        summary: What was met while they were encoded.
        labels: The label space.

    Raises:
        InputError: If train or dev have no labelled row, a file's train has some without, or train has one class only.
    """
    if summary.empty:
        rank_zero_warn(f"{split.name}: {summary.empty} of {summary.rows} rows have an empty text; they are kept")
    if summary.duplicates:
        rank_zero_info(f"{split.name}: {summary.duplicates} rows repeat an earlier one and are left out")
    if not summary.rows and name != "test":
        raise InputError(f"no row of {split.name} has a label ({summary.unlabelled} have -1): give labelled rows")
    if summary.unlabelled and name == "train" and not isinstance(split, DatasetSplit):
        raise InputError(
            f"{summary.unlabelled} of {summary.unlabelled + summary.rows} rows of {split.name} have -1 for a label, "
            "which on the hub means unlabelled: take them out, or if it is a label of its own, declare it in "
            "data.labels"
        )
    if summary.unlabelled and summary.rows:
        rank_zero_warn(
            f"{split.name}: {summary.unlabelled} of {summary.unlabelled + summary.rows} rows have -1 for a label and "
            "are left out as unlabelled; if -1 is a label of its own, declare it in data.labels"
        )
    if name == "train" and labels.kind in ("single", "tags"):
        seen = np.flatnonzero(count_labels(rows, labels).counts)
        if len(seen) < 2:
            unit = "words" if labels.kind == "tags" else "rows"
            raise InputError(
                f"all {unit} of {split.name} have the label {labels.names[seen[0]]!r}: "
                "a classifier needs two classes to tell apart"
            )


def explain_label(
    error: UnknownLabelError, datamodule: type, labels: LabelSpace, trained: object, declared: list[str] | None
) -> InputError:
    """Say of a label that is none of those known where these come from, and what to do.

    Args:
        error: What is wrong.
        datamodule: The class that read the row.
        labels: Those known.
        trained: The label space of the module that is trained, if it has one.
        declared: The names that the configuration declares, if it does.
    """
    if trained is labels:
        return error.among(f"the model's ({labels.shown}), which data.labels are", "train anew")
    if declared is not None:
        return error.among(f"data.labels ({labels.shown})", "add it to data.labels")
    if getattr(datamodule, "known_labels", None) is None:
        return error
    any_labels = next(base.__name__ for base in datamodule.__mro__ if not getattr(base, "known_labels", None))
    pairs = ", with --data.text_pair_column for the second texts" if getattr(datamodule, "pair_columns", ()) else ""
    return error.among(f"{datamodule.__name__}'s ({labels.shown})", f"take --data {any_labels}{pairs}")


def check_module_kind(module: object, datamodule: str, kind: Kind) -> None:
    """Hold the kind of label a module is for against that of its data.

    Args:
        module: The module; one that names no kind takes any.
        datamodule: What a message calls the data.
        kind: Their kind.

    Raises:
        InputError: If they differ.
    """
    wanted = getattr(module, "kind", kind)
    if wanted != kind:
        raise InputError(
            f"{type(module).__name__} needs labels of kind {wanted!r}, but {datamodule} reads kind {kind!r}: choose "
            "the module or the datamodule (its key `kind`) that fits"
        )


def check_unlabelled(module: object, sampling: object) -> None:
    """Refuse rows without labels where nothing is learned of them.

    Args:
        module: The module they are for, if there is one yet.
        sampling: What draws rows by their labels, if anything does.

    Raises:
        InputError: If the module has no teacher, or rows are drawn by labels.
    """
    if sampling is not None:
        raise InputError(
            "data.sampling draws rows by their labels, and those of data.unlabelled have none: leave one of them out"
        )
    if module is not None and getattr(module, "distillation", None) is None:
        raise InputError(
            "data.unlabelled is learned of a teacher alone, and there is none: set model.distillation, or leave it out"
        )
