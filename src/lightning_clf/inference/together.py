"""Rows in, answers of several tasks out: what they read alike is encoded and computed once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightning_clf.batch import TaskBatches
from lightning_clf.digest import together_digest
from lightning_clf.errors import InputError
from lightning_clf.inference.answers import Answer
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.columns import Carried
from lightning_clf.inference.inputs import Inputs, ReadRow, check_roles, reads
from lightning_clf.inference.predictor import Predictor
from lightning_clf.together import TaskArtefacts, load_trained


def load_predictor(path: str | Path, columns: Mapping[str, str] | None = None) -> Predictor:
    """Load whatever `predict` takes: what `load_classifier` takes, or the tasks of a `MultiTaskClassifier` at once.

    Args:
        path: The checkpoint or the folder.
        columns: Which columns to read, by role (`text`, `text_pair`, `tokens`), where they are not those of training.

    Raises:
        InputError: If it is neither, or damaged.
    """
    found = load_trained(path)
    return TaskClassifiers(found, columns) if isinstance(found, TaskArtefacts) else Classifier(found, columns)


class TaskRow(dict[str, ReadRow]):
    """What each task reads of a row; without those whose columns the row lacks."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return all(row.is_empty for row in self.values())


class TaskInputs:
    """Reads and encodes rows for several tasks.

    A task whose columns a row lacks, or has null in, is left out of that row.

    Args:
        tasks: The inputs of each task.
        columns: The columns that were named for all.
    """

    def __init__(self, tasks: Mapping[str, Inputs], columns: Mapping[str, str]) -> None:
        self.tasks = dict(tasks)
        self.columns = dict(columns)

    def read(self, row: str | Mapping[str, Any], where: str) -> TaskRow:
        """Take what each task reads from a row.

        Raises:
            InputError: If no task has its columns, or one of them does not hold what it should.
        """
        found = TaskRow()
        for name, inputs in self.tasks.items():
            if inputs.has_columns(row):
                try:
                    found[name] = inputs.read(row, where)
                except InputError as error:
                    raise InputError(f"task {name}: {error}") from error
        if not found:
            self._refuse(None if isinstance(row, str) else row, where)
        return found

    def check_columns(self, columns: Iterable[str], where: str) -> None:
        """Hold the columns that all rows of a file have against those that are read; plain text has none.

        Raises:
            InputError: If no task has its columns.
        """
        names = list(columns)
        row = dict.fromkeys(names, "") if names else ""
        if not any(inputs.has_columns(row) for inputs in self.tasks.values()):
            self._refuse(names or None, where)

    def encode(self, rows: Sequence[TaskRow]) -> list[dict[str, Any]]:
        """Encode rows for the collator: for each task that reads a row, by its name."""
        found: list[dict[str, Any]] = [{} for _ in rows]
        for name, inputs in self.tasks.items():
            places = [place for place, row in enumerate(rows) if name in row]
            if places:
                for place, encoded in zip(places, inputs.encode([rows[place][name] for place in places]), strict=True):
                    found[place][name] = encoded
        return found

    def _refuse(self, columns: Iterable[str] | None, where: str) -> None:
        read = "; ".join(f"{name} reads {inputs.said}" for name, inputs in self.tasks.items())
        has = "is plain text" if columns is None else f"has only {', '.join(map(repr, columns)) or 'none'}"
        raise InputError(
            f"{where} has the columns of no task, as {read}, and it {has}: add them, or name others with --text-column "
            "or --text-pair-column"
        )


class TaskClassifiers(Predictor):
    """The classifiers of several tasks on one encoder, which answer a row at once.

    Where several tasks read the same subwords of a row, the encoder computes them once. An answer is a mapping from the
    name of each task to what its own classifier would answer; a task whose columns a row lacks, or has null in, is left
    out of it.

    Args:
        artefacts: What `load_trained` read, or a module's `artefacts`.
        columns: Which columns to read, by role (`text`, `text_pair`, `tokens`), where they are not those of training.
            That of a second text is for the tasks of pairs, that of words for taggers.

    Raises:
        InputError: If one is named for pairs or words, and no task reads any.

    Attributes:
        tasks: The classifier of each task. They stand on the one encoder.
    """

    inputs: TaskInputs

    def __init__(self, artefacts: TaskArtefacts, columns: Mapping[str, str] | None = None) -> None:
        self.artefacts = artefacts
        named = dict(columns or {})
        check_roles(named, artefacts.parts.values(), f"no task ({', '.join(artefacts.parts)}) reads")
        self.tasks = {
            task: Classifier(part, {role: name for role, name in named.items() if reads(part, role)})
            for task, part in artefacts.parts.items()
        }
        self.inputs = TaskInputs({name: one.inputs for name, one in self.tasks.items()}, named)

    @property
    def modules(self) -> Sequence[nn.Module]:
        """The encoder, and what stands on it."""
        return [self.artefacts.trunk, *(one.network for one in self.tasks.values())]

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return next(self.artefacts.trunk.parameters()).device

    @property
    def window(self) -> int:
        """The longest window of a task."""
        return max(one.window for one in self.tasks.values())

    def longest(self, encoded: Mapping[str, Any]) -> Mapping[str, Any]:
        """The longest of the texts that tasks read of a row."""
        found: Mapping[str, Any] = max(encoded.values(), key=lambda row: len(row["input_ids"]))
        return found

    def answer_batch(self, encoded: Sequence[Mapping[str, Any]], read: Sequence[TaskRow]) -> list[Answer]:
        """Answer rows in one forward pass of the encoder for all tasks that read them alike."""
        answers: list[Answer] = [{} for _ in read]
        for tasks, places in _alike(encoded).items():
            collated = {name: self.tasks[name].collate([encoded[place][name] for place in places]) for name in tasks}
            (group,) = TaskBatches([collated]).to(self.device).groups
            with self.artefacts.trunk.shared(group[tasks[0]]):
                for name, batch in group.items():
                    found = self.tasks[name].answer_collated(batch, [read[place][name] for place in places])
                    for place, result in zip(places, found, strict=True):
                        answers[place][name] = result
        return [{name: found[name] for name in self.tasks if name in found} for found in answers]

    def carried(self, names: Sequence[str] | None) -> Carried:
        """What of a row stands beside its answer."""
        columns = {
            f"{task}/{name}": kind for task, one in self.tasks.items() for name, kind in one.answer_columns().items()
        }
        return Carried(columns, self.tasks, names, [])

    def left_out(self, read: Sequence[TaskRow]) -> Counter[str]:
        """How often each task is left out."""
        given = Counter(chain.from_iterable(read))
        return Counter({name: len(read) - given[name] for name in self.tasks if given[name] < len(read)})

    def digest(self) -> str:
        """The digest of weights, tokenizer, labels and all else that answers follow from."""
        return together_digest(self.artefacts)

    @property
    def heads(self) -> Sequence[type]:
        """The classes of the tasks' heads."""
        return [type(one.network.head) for one in self.tasks.values()]


def _alike(encoded: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], list[int]]:
    """For tasks that read the same, the places of the rows of which they do."""
    found: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(encoded):
        groups: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
        for name, one in row.items():
            content = (one["input_ids"], one.get("token_type_ids", ()), one.get("windows", ()))
            groups[tuple(map(tuple, content))].append(name)
        for names in groups.values():
            found[tuple(names)].append(place)
    return dict(found)
