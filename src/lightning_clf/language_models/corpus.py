"""The labelled rows that new ones are made after, and are to stand beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightning_clf.data import SequenceDataModule
from lightning_clf.data.lines import Row
from lightning_clf.data.option_names import naming_options
from lightning_clf.data.rows import first_row, read_text
from lightning_clf.data.sequence import PAIR_COLUMNS
from lightning_clf.errors import InputError
from lightning_clf.inference.labelled import open_file
from lightning_clf.labels import LabelSpace


class Labelled(NamedTuple):
    """A row by what it holds.

    Attributes:
        text: Its text.
        labels: Its labels, of which there is one where every text has one.
        where: Where it is, for messages.
    """

    text: str
    labels: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class Corpus:
    """A train split.

    Attributes:
        rows: Its rows, those without a label left out.
        labels: Which labels there are, of one or of any number a text.
        text_column: The column of texts.
        label_column: The column of labels.
    """

    rows: list[Labelled]
    labels: LabelSpace
    text_column: str
    label_column: str

    @property
    def is_multi(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.labels.kind == "multi"

    @property
    def counts(self) -> dict[str, int]:
        """The rows of each label."""
        found = Counter(label for row in self.rows for label in row.labels)
        return {label: found[label] for label in self.labels.names}

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Every text and where it is."""
        return [(row.text, row.where) for row in self.rows]

    def columns(self, text: str, labels: Sequence[str]) -> dict[str, Any]:
        """A row as this corpus has them."""
        return {self.text_column: text, self.label_column: list(labels) if self.is_multi else labels[0]}

    def refuse_unknown(self, label: str, where: str) -> None:
        """Hold a label against those there are.

        Raises:
            InputError: If it is none of them.
        """
        if label not in self.labels.names:
            raise InputError(f"label {label!r} ({where}) is none of --data ({self.labels.shown}): correct it")


def read_corpus(file: str, columns: Mapping[str, str]) -> Corpus:
    """Read labelled rows with the checks of training.

    Args:
        file: A `.jsonl`, `.csv`, `.tsv` or `.parquet` file.
        columns: Names of columns that are not the usual ones: `text`, `label`; and as `separator` what stands between
            labels in a cell.

    Raises:
        InputError: If a row is not as it should be, or the labels are of another kind than classes of texts.
    """
    split = open_file(file)
    first = first_row(split)
    text, label, separator = (columns.get(name) for name in ("text", "label", "separator"))
    if "tokens" in first or split.format == "conll":
        raise InputError(f"file {file} holds words with tags: augment is of texts with one label or several")
    if text is None and (pair := next((name for name in PAIR_COLUMNS if name in first), None)) is not None:
        raise InputError(
            f"file {file} holds pairs (column {pair!r}), and augment is of single texts: give --text-column if it is"
        )
    value = first.get(label or ("label" if "label" in first else "labels"))
    is_multi = separator is not None or isinstance(value, list)
    with naming_options():
        data = SequenceDataModule(
            {"train": file},
            kind="multi" if is_multi else "single",
            text_column=text,
            label_column=label,
            label_separator=separator,
        )
        rows, labels = data.row_format, data.labels
        found = []
        for number, row in split.rows():
            example = rows.parse(row, split.where(number))
            if example.label is None:
                continue
            target = rows.target(example, labels)
            indices = target if isinstance(target, list) else [int(target)]
            found.append(Labelled(str(example.text), tuple(labels.names[index] for index in indices), example.where))
    return Corpus(found, labels, rows.text_column, rows.label_column or "label")


def read_texts(file: str, column: str) -> Iterator[tuple[str, str, Row]]:
    """Rows of which only the text is asked for.

    Args:
        file: A `.jsonl`, `.csv`, `.tsv` or `.parquet` file.
        column: The column of texts.

    Yields:
        The text, where it is, and the row.

    Raises:
        InputError: If the file cannot be read, or a row has no such text.
    """
    split = open_file(file)
    with naming_options():
        for number, row in split.rows():
            where = split.where(number)
            yield read_text(row, column, where, "text_column"), where, row
