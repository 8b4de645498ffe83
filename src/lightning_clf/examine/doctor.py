"""Everything that can be known of a fit before it: its data, its memory and time, and what comes out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset

from lightning_clf.callbacks.best import readers
from lightning_clf.callbacks.monitor import check_logged, watched
from lightning_clf.data import BaseDataModule
from lightning_clf.data.batching import count_windows
from lightning_clf.data.checks import count_labels
from lightning_clf.data.imbalance import meets_imbalance
from lightning_clf.data.prepared import UNLABELLED
from lightning_clf.errors import InputError
from lightning_clf.examine.cost import Cost, costs
from lightning_clf.examine.finding import Finding
from lightning_clf.examine.labels import imbalance, missing_labels, taken_for
from lightning_clf.examine.lengths import true_lengths, truncation, windows
from lightning_clf.examine.measure import measure
from lightning_clf.examine.texts import known_rows, repeated_texts
from lightning_clf.modules import ClassifierModule


def refused(error: InputError) -> Finding:
    """What a fit would end with at once."""
    return Finding("error", "fit", f"refuses this: {error}")


def examine(
    module: ClassifierModule, datamodule: BaseDataModule[Any], settings: dict[str, Any], mode: str, export: Path | None
) -> list[Finding]:
    """Look at all that a fit of these would be.

    Nothing is written but the cache of encoded rows, which the fit then finds.

    Args:
        module: What is to be trained; a few steps are.
        datamodule: On which data.
        settings: What the Trainer is made with.
        mode: Whether `module.monitor` is the better the higher (`max`) or the lower (`min`).
        export: The folder the best is to be exported to, if it is.

    Returns:
        What was found, errors included: those that a fit would end with, in its own words.
    """
    findings: list[Finding] = []
    cost: Cost | None = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try:
            cost = measure(module, datamodule, settings)
            monitor = watched(module, mode)
            if cost.validated:
                check_logged(module, monitor, cost.validated)
        except InputError as error:
            findings.append(refused(error))
    findings += [Finding("warning", "fit", f"says: {text}") for text in _ours(said)]
    if datamodule.truncated_counts:  # it got as far as being set up
        findings += _of_data(module, datamodule)
    if cost is not None:
        findings.append(Finding("ok", "model", _described(module)))
        findings += costs(cost, by_tokens=datamodule.loading.batch_tokens is not None, epochs=settings["max_epochs"])
        findings.append(_export(module, export))
    return findings


def _of_data(module: ClassifierModule, datamodule: BaseDataModule[Any]) -> Iterator[Finding]:
    labels, tokenizer = datamodule.labels, module.tokenizer
    names = [name for name in datamodule.truncated_counts if name != UNLABELLED]  # which no label is looked for in
    sources = {name: datamodule.splits.get(name, datamodule.splits["train"]) for name in names}
    encoded = {name: rows for name in sources if len(rows := _encoded(datamodule, name))}
    yield taken_for(labels)
    if labels.kind != "score":
        counts = {name: count_labels(rows, labels) for name, rows in encoded.items()}
        yield from missing_labels(counts)
        if "train" in counts:
            finding = imbalance(counts["train"], is_met=meets_imbalance(module, datamodule.loading.sampling))
            yield from [finding] if finding is not None else []
    positions = module.network.max_positions if hasattr(module, "network") else None
    for name, rows in encoded.items():
        if datamodule.stride is not None:
            yield windows(name, count_windows(rows), datamodule.max_length, datamodule.loading.max_windows)
            continue
        lengths = true_lengths(rows, sources[name], datamodule.row_format, tokenizer)
        yield truncation(name, lengths, datamodule.max_length, positions)
    read = {split.name: known_rows(split, datamodule.row_format) for split in sources.values()}
    used = {name: [read[sources[name].name][row] for row in rows["example_id"]] for name, rows in encoded.items()}
    yield from repeated_texts(used, sources)


def _described(module: ClassifierModule) -> str:
    loss = "its own loss" if module.loss is None else type(module.loss).__name__
    parts = f"{type(module).__name__} with {type(module.network.head).__name__} and {loss}"
    return f"{parts}; {' '.join(module.describe_trainable().split())}"


def _encoded(datamodule: BaseDataModule[Any], name: str) -> Dataset:
    """The encoded rows of a split; none where none has a label."""
    try:
        return datamodule.encoded(name).rows
    except InputError:
        return Dataset.from_dict({})


def _export(module: ClassifierModule, folder: Path | None) -> Finding:
    if folder is None:
        return Finding("ok", "export", "none, as checkpoint.export or trainer.enable_checkpointing is false")
    head = module.network.head
    if head.is_stock:
        return Finding("ok", "export", f"{folder}, which plain transformers loads")
    return Finding("ok", "export", f"{folder}: {readers([head])}")


def _ours(said: list[warnings.WarningMessage]) -> list[str]:
    """What our own code warned of, each once."""
    return list(dict.fromkeys(str(one.message) for one in said if "lightning_clf" in Path(one.filename).parts))
