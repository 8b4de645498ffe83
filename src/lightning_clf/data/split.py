"""One split of a data source: rows that are read lazily and can be pointed at in messages."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features

from lightning_clf.data.lines import Row
from lightning_clf.data.readers import Format, read_rows, readable, rows_of, sound
from lightning_clf.errors import InputError, a_type

_BATCH = 1000  # rows of a data set decoded at a time


class Split(ABC):
    """Rows under a name.

    Attributes:
        name: What messages call this split: the path as the user gave it, or the hub id and the split's name there.
        format: How the rows are stored, `None` where they are not a file.
    """

    def __init__(self, name: str, format: Format | None = None) -> None:
        self.name = name
        self.format = format

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its number, which `where` turns into words."""

    @abstractmethod
    def where(self, number: int) -> str:
        """Where a row is, for messages."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A digest that changes when the content does."""

    @property
    def _features(self) -> Mapping[str, Any]:
        return {}

    def class_names(self, column: str) -> list[str] | None:
        """The names behind a column of class numbers (or of lists of them), where the data carry names."""
        feature = self._features.get(column)
        feature = getattr(feature, "feature", feature)
        names = getattr(feature, "names", None)
        return list(names) if names else None

    def _named(self, rows: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
        """Put names in the place of class numbers. -1, which the hub uses for "not labelled", stays what it is."""
        columns = {column: names for column in self._features if (names := self.class_names(column))}
        for number, row in rows:
            yield number, row | {column: _name(row[column], names) for column, names in columns.items()}


def _name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


class FileSplit(Split):
    """A file.

    Args:
        path: Where it is.
        format: How it is written.
    """

    format: Format

    def __init__(self, path: Path, format: Format) -> None:
        super().__init__(str(path), format)
        self.path = path.expanduser()
        self._digested: tuple[tuple[int, int], str] | None = None

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with the number of the line it starts in, from 1 (of the row itself, for Parquet)."""
        rows = read_rows(self.path, self.format, self.name)
        return self._named(rows) if self.format == "parquet" else rows

    def where(self, number: int) -> str:
        """`dev.jsonl line 7`."""
        return f"{self.name} {'row' if self.format == 'parquet' else 'line'} {number}"

    def fingerprint(self) -> str:
        """The digest of the file's bytes, which is taken anew once the file was written to."""
        with readable(self.name), self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            written = (status.st_mtime_ns, status.st_size)
            if self._digested is None or self._digested[0] != written:
                self._digested = written, hashlib.file_digest(file, "sha256").hexdigest() + self.format
        return self._digested[1]

    @cached_property
    def _features(self) -> Mapping[str, Any]:
        """Parquet files that come from the hub carry their class names in the schema."""
        if self.format != "parquet":
            return {}
        try:
            schema = pq.read_schema(self.path)
        except (OSError, pa.ArrowException):
            return {}  # reading the rows says what is wrong
        return dict(Features.from_arrow_schema(schema)) if b"huggingface" in (schema.metadata or {}) else {}


class DatasetSplit(Split):
    """A `datasets.Dataset`, from the hub or made in Python.

    Args:
        dataset: The rows.
        name: What messages call it.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        super().__init__(name)
        self.dataset = dataset

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its index."""
        batches = self.dataset.with_format("arrow").iter(batch_size=_BATCH)
        starts = range(0, len(self.dataset), _BATCH)
        return self._named(
            row
            for start, batch in zip(starts, batches, strict=True)
            for row in sound(rows_of(batch, start, self.where))
        )

    def where(self, number: int) -> str:
        """`stanfordnlp/sst2 train[6]`, as Python counts."""
        return f"{self.name}[{number}]"

    def fingerprint(self) -> str:
        """The fingerprint that `datasets` keeps for every data set and every change to one."""
        return str(self.dataset._fingerprint)

    @property
    def _features(self) -> Mapping[str, Any]:
        return dict(self.dataset.features)


class ListSplit(Split):
    """Rows given in Python.

    Args:
        data: One mapping a row.
        name: What messages call them.

    Raises:
        InputError: If a row is not a mapping, or there is none.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], name: str) -> None:
        super().__init__(name)
        if not data:
            raise InputError(f"the list of rows for {name} is empty: give at least one row")
        for index, row in enumerate(data):
            if not isinstance(row, Mapping):
                raise InputError(f"{self.where(index)} is {a_type(row)}: give rows as dictionaries")
        self.data = data

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its index; numbers and arrays of numpy become Python's own."""
        return ((index, {key: _plain(value) for key, value in row.items()}) for index, row in enumerate(self.data))

    def where(self, number: int) -> str:
        """`train[6]`, as Python counts."""
        return f"{self.name}[{number}]"

    def fingerprint(self) -> str:
        """The digest of the rows."""
        digest = hashlib.sha256()
        for _, row in self.rows():
            digest.update(json.dumps(row, sort_keys=True, default=repr).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


class LabelledSplit(Split):
    """The rows of a split that have a label, where others are of another task.

    Args:
        split: The split.
        columns: Where a label may be.
    """

    def __init__(self, split: Split, columns: Sequence[str]) -> None:
        super().__init__(split.name, split.format)
        self.split, self.columns = split, tuple(columns)

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with a value in one of the columns, with the number it has among all."""
        return (
            (number, row)
            for number, row in self.split.rows()
            if any(row.get(column) not in (None, "") for column in self.columns)
        )

    def where(self, number: int) -> str:
        """As the split says it."""
        return self.split.where(number)

    def fingerprint(self) -> str:
        """The digest of the split and the columns."""
        return f"{self.split.fingerprint()} with {'|'.join(self.columns)}"

    def class_names(self, column: str) -> list[str] | None:
        """Those of the split."""
        return self.split.class_names(column)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
