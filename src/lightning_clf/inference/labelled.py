"""Labelled rows of a file, read with the checks of training."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_clf.data.encoded import Encoding, Summary, encode_split
from lightning_clf.data.lines import Row
from lightning_clf.data.option_names import naming_options
from lightning_clf.data.readers import FORMATS, refuse_spreadsheet, suffix_format
from lightning_clf.data.rows import RowFormat, UnknownLabelError, first_row
from lightning_clf.data.split import FileSplit
from lightning_clf.data.text_rows import LABEL_COLUMNS, TextKind, TextRows
from lightning_clf.data.token_rows import TAG_COLUMNS, TokenRows, resolve_columns, survey_tags
from lightning_clf.errors import InputError
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.room import batches
from lightning_clf.labels import LabelSpace


def open_file(file: str) -> FileSplit:
    """The rows of a file, whatever they are.

    Raises:
        InputError: If its suffix tells no format.
    """
    path = Path(file)
    format = suffix_format(path)
    if format is None:
        refuse_spreadsheet(file)
        raise InputError(f"file {file} has a suffix that tells no format: use one of {', '.join(FORMATS)}")
    return FileSplit(path, format)


def open_labelled(classifier: Classifier, file: str, columns: Mapping[str, str]) -> tuple[FileSplit, Encoding]:
    """The rows of a file, and how they are read for a model.

    Args:
        classifier: Says what the rows hold, and how they are encoded.
        file: A `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.conll` file.
        columns: Names that are not those of training, by role: `text`, `text_pair`, `tokens`, `label`; as `group`
            what rows share that are to be ranked together; and as `separator` what stands between labels in a cell.

    Raises:
        InputError: If the file cannot be read, or has not the columns.
    """
    split, artefact = open_file(file), classifier.artefact
    with _naming_options(classifier.labels):
        rows = _row_format(classifier, split, columns)
    return split, Encoding(rows, classifier.labels, artefact.tokenizer, artefact.max_length, artefact.stride)


def labelled_batches(split: FileSplit, encoding: Encoding, batch_size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows that have a label, encoded, in batches of about one length.

    Args:
        split: The rows, as `open_labelled` opened them.
        encoding: How they are read, as it says.
        batch_size: How many rows a batch has.

    Raises:
        InputError: If a row cannot be read, named by its line, a label is none of the model's, or no row has one.
    """
    summary = Summary()
    with _naming_options(encoding.labels):
        for table in encode_split(split, encoding, summary):
            rows = table.to_pylist()
            for chosen in batches(rows, batch_size):
                yield [rows[place] for place in chosen]
    if summary.unlabelled:
        warnings.warn(f"{split.name}: rows without a label are left out, {summary.unlabelled} in all", stacklevel=2)
    if not summary.rows:
        raise InputError(f"file {split.name} holds no row with a label: give rows whose answers are known")


def has_labels(classifier: Classifier, file: str, columns: Mapping[str, str]) -> bool:
    """Whether the rows of a file have what they are to be answered with, as far as its columns tell.

    Args:
        classifier: Says what the labels are.
        file: A file of any format there is, plain text too.
        columns: Names of columns, as for `open_labelled`.

    Raises:
        InputError: If the file cannot be read.
    """
    format = suffix_format(Path(file))
    if format is None:
        return False
    labels, row = classifier.labels, first_row(FileSplit(Path(file), format))
    if "label" in columns or classifier.artefact.columns.get("label") in row:
        return True
    if labels.kind == "tags":
        return format == "conll" or any(name in row for name in TAG_COLUMNS)
    return any(name in row for name in LABEL_COLUMNS[labels.kind]) or _has_table(labels, row)


@contextlib.contextmanager
def _naming_options(labels: LabelSpace) -> Iterator[None]:
    """Have what reads rows speak of the options of a command and of the model's labels, rather than of training."""
    try:
        with naming_options():
            yield
    except UnknownLabelError as error:
        raise error.among(f"the model's ({labels.shown})", "leave the row out") from error


def _row_format(classifier: Classifier, split: FileSplit, columns: Mapping[str, str]) -> RowFormat:
    labels, inputs, first = classifier.labels, classifier.inputs, first_row(split)
    trained = classifier.artefact.columns.get("label")
    if labels.kind == "tags":
        tokens = columns.get("tokens", inputs.tokens if inputs.tokens in first else None)
        words, tags = resolve_columns(split, tokens, columns.get("label", trained if trained in first else None))
        scheme = "none" if labels.scheme == "none" else survey_tags(split, words, tags, None)[0]
        return TokenRows(words, tags, scheme)
    kind: TextKind = labels.kind
    usual = (*([trained] if trained else []), *LABEL_COLUMNS[kind])
    label = columns.get("label", next((name for name in usual if name in first), usual[0]))
    tables = "label" not in columns and label not in first and _has_table(labels, first)
    return TextRows(
        kind=kind,
        text_column=inputs.text_column(first, inputs.text),
        text_pair_column=inputs.pair,
        label_column=None if tables else label,
        label_columns=labels.names if tables else (),
        label_separator=columns.get("separator"),
        declared=() if kind == "score" else labels.names,
        score_range=labels.range,
        symmetric=classifier.artefact.symmetric,
        group_column=columns.get("group"),
        ignore_case=_differ_without_case(labels),
    )


def _has_table(labels: LabelSpace, row: Row) -> bool:
    """Whether there is a column a label, of any number of labels."""
    return labels.kind == "multi" and set(labels.names) <= set(row)


def _differ_without_case(labels: LabelSpace) -> bool:
    """Whether labels may be read whatever their letters' case, as some corpora write them."""
    return len({name.casefold() for name in labels.names}) == len(labels)
