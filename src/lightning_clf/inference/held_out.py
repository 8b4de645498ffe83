"""Held-out rows: read with the checks of training, and scored."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.data.encoded import Encoding, Summary, encode_split
from lightning_clf.data.lines import Row
from lightning_clf.data.readers import FORMATS, suffix_format
from lightning_clf.data.rows import RowFormat, UnknownLabelError, first_row
from lightning_clf.data.split import FileSplit
from lightning_clf.data.text_rows import LABEL_COLUMNS, TextKind, TextRows
from lightning_clf.data.token_rows import TAG_COLUMNS, TokenRows, resolve_columns, survey_tags
from lightning_clf.encoding import Collator
from lightning_clf.errors import InputError
from lightning_clf.inference.classifier import Classifier
from lightning_clf.labels import LabelSpace

_KEYS = re.compile(r"data\.((?:text|text_pair|label|tokens|tags)_column|label_separator)")


class HeldOut(NamedTuple):
    """Rows whose answers are known, or for tags their words.

    Attributes:
        logits: The network's scores, float32 `[N,C]`.
        targets: The right class indices int64 `[N]`, or where any number of labels may be right bool `[N,C]`.
    """

    logits: Tensor
    targets: Tensor


def read_held_out(classifier: Classifier, file: str, columns: Mapping[str, str], batch_size: int) -> HeldOut:
    """Read a file of labelled rows and score it.

    Args:
        classifier: Its network scores, without the decision it may have.
        file: A `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.conll` file.
        columns: Names of columns, as for `labelled_batches`.
        batch_size: How many rows share a forward pass.

    Raises:
        InputError: If the file or a row cannot be read, named by its line, or a label is none of the model's.
    """
    parts = list(_score(classifier, labelled_batches(classifier, file, columns, batch_size)))
    if not sum(len(part.logits) for part in parts):
        raise InputError(f"file {file} holds no row with a label: give rows whose answers are known")
    logits, targets = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    if not logits.isfinite().all():
        raise InputError(f"the model's scores for {file} are not all finite: it cannot be calibrated, train it again")
    return HeldOut(logits, targets.bool() if classifier.labels.kind == "multi" else targets)


def labelled_batches(classifier: Classifier, file: str, columns: Mapping[str, str], batch_size: int) -> Iterator[Batch]:
    """Read a file of labelled rows in batches of about one length.

    Args:
        classifier: Says what the rows hold, and how they are encoded.
        file: A `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.conll` file.
        columns: Names that are not those of training, by role: `text`, `text_pair`, `tokens`, `label`; and as
            `separator` what stands between labels in a cell.
        batch_size: How many rows a batch has.

    Raises:
        InputError: If the file or a row cannot be read, named by its line, or a label is none of the model's.
    """
    labels, summary = classifier.labels, Summary()
    with naming_options(labels):
        split, encoding = open_labelled(classifier, file, columns)
        yield from _batches(split, encoding, summary, batch_size)
    warn_unlabelled(file, summary)


def open_file(file: str) -> FileSplit:
    """The rows of a file, whatever they are.

    Raises:
        InputError: If its suffix tells no format.
    """
    path = Path(file)
    format = suffix_format(path)
    if format is None:
        raise InputError(f"file {file} has a suffix that tells no format: use one of {', '.join(FORMATS)}")
    return FileSplit(path, format)


def open_labelled(classifier: Classifier, file: str, columns: Mapping[str, str]) -> tuple[FileSplit, Encoding]:
    """The rows of a file, and how they are read for a model. The arguments are those of `read_held_out`.

    Raises:
        InputError: If the file cannot be read, or has not the columns.
    """
    split, artefact = open_file(file), classifier.artefact
    rows = _row_format(classifier, split, columns)
    return split, Encoding(rows, classifier.labels, artefact.tokenizer, artefact.max_length)


@contextlib.contextmanager
def naming_options(labels: LabelSpace) -> Iterator[None]:
    """Have what reads rows speak of the options of a command, rather than of the keys of training."""
    try:
        yield
    except UnknownLabelError as error:
        raise error.among(f"the model's ({labels.shown})", "leave the row out") from error
    except InputError as error:
        raise InputError(
            _KEYS.sub(_option, str(error)).replace(" (or data.label_columns)", "").replace("set --", "give --")
        ) from error


def warn_unlabelled(file: str, summary: Summary) -> None:
    """Say how many rows were left out since they have no label."""
    if summary.unlabelled:
        warnings.warn(f"{file}: rows without a label are left out, {summary.unlabelled} in all", stacklevel=3)


def _option(match: re.Match[str]) -> str:
    return "--" + match[1].replace("tags_column", "label_column").replace("_", "-")


def _row_format(classifier: Classifier, split: FileSplit, columns: Mapping[str, str]) -> RowFormat:
    labels, inputs, first = classifier.labels, classifier.inputs, first_row(split)
    if labels.kind == "tags":
        tokens = columns.get("tokens", inputs.tokens if inputs.tokens in first else None)
        words, tags = resolve_columns(split, tokens, columns.get("label"))
        scheme = "none" if labels.scheme == "none" else survey_tags(split, words, tags, None)[0]
        return TokenRows(words, tags, scheme)
    kind: TextKind = labels.kind
    usual = LABEL_COLUMNS[kind]
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
        ignore_case=_differ_without_case(labels),
    )


def _has_table(labels: LabelSpace, row: Row) -> bool:
    """Whether there is a column a label, of any number of labels."""
    return labels.kind == "multi" and set(labels.names) <= set(row)


def has_labels(classifier: Classifier, file: str, columns: Mapping[str, str]) -> bool:
    """Whether the rows of a file have what they are to be answered with, as far as its columns tell.

    Args:
        classifier: Says what the labels are.
        file: A file of any format there is, plain text too.
        columns: Names of columns, as for `labelled_batches`.

    Raises:
        InputError: If the file cannot be read.
    """
    format = suffix_format(Path(file))
    if format is None:
        return False
    labels, row = classifier.labels, first_row(FileSplit(Path(file), format))
    if labels.kind == "tags":
        return "label" in columns or format == "conll" or any(name in row for name in TAG_COLUMNS)
    return "label" in columns or any(name in row for name in LABEL_COLUMNS[labels.kind]) or _has_table(labels, row)


def _differ_without_case(labels: LabelSpace) -> bool:
    """Whether labels may be read whatever their letters' case, as some corpora write them."""
    return len({name.casefold() for name in labels.names}) == len(labels)


def _batches(split: FileSplit, encoding: Encoding, summary: Summary, batch_size: int) -> Iterator[Batch]:
    collate = Collator(encoding.tokenizer, encoding.labels)
    for table in encode_split(split, encoding, summary):
        rows = sorted(table.to_pylist(), key=lambda row: len(row["input_ids"]))
        for start in range(0, len(rows), batch_size):
            yield collate(rows[start : start + batch_size])


def _score(classifier: Classifier, batches: Iterator[Batch]) -> Iterator[HeldOut]:
    network = classifier.network.eval()
    for batch in batches:
        with torch.inference_mode():
            scores = network(batch.to(network.device)).float().cpu()
        yield _flat(scores, batch) if classifier.labels.kind == "tags" else HeldOut(scores, batch.require_targets())


def _flat(scores: Tensor, batch: Batch) -> HeldOut:
    """The words that a subword speaks for, whatever sentence they are of."""
    targets = batch.require_targets()
    known = (batch.words()[0] >= 0) & (targets != IGNORE)
    return HeldOut(scores[known], targets[known])
