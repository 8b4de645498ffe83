"""A file of rows in, a file of answers out, in the same order."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lightning_clf.data.lines import RowError
from lightning_clf.errors import InputError
from lightning_clf.inference.answers import Answer
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.columns import Carried
from lightning_clf.inference.digests import file_digest, model_digest
from lightning_clf.inference.draft import Tally
from lightning_clf.inference.inputs import ReadRow
from lightning_clf.inference.progress import progress_bar
from lightning_clf.inference.sinks import Sink, is_stream, open_sink
from lightning_clf.inference.source import Numbered, Source, open_source, survey
from lightning_clf.inference.writers import Rejected, Writer, is_table, make_writer

_CHUNK = 2048  # rows sorted by length together; what is held in memory at a time, and lost if the process is killed


def predict_file(
    classifier: Classifier,
    source: str,
    target: str | None,
    *,
    batch_size: int = 32,
    show: Callable[[Answer], str] | None = None,
    carry: Sequence[str] | None = None,
    strict: bool = False,
    rejected: str | None = None,
    resume: bool = False,
    shard: tuple[int, int] | None = None,
) -> int:
    """Answer every row of a file, a chunk at a time, whatever its size.

    Args:
        classifier: What answers.
        source: A `.jsonl`, `.csv` or `.tsv` (both with a header), `.parquet` or `.conll` file; or `.txt`, or a file
            without a suffix, of plain text, one input a line. `-` is standard input, as JSON lines if its first line is
            an object, else plain text, in UTF-8 whatever the locale.
        target: The file to write, which appears once it is whole: a table if its suffix is `.csv`, `.tsv` or
            `.parquet`, else JSON lines. `None` or `-` is standard output.
        batch_size: How many rows share a forward pass.
        show: How an answer becomes a line; `None` writes JSON or a table.
        carry: The columns of each row that stand beside its answer; `None` is all. One that has a name of the answer's
            is called `input/NAME`.
        strict: Whether the first row that cannot be read ends it; otherwise such rows are set aside.
        rejected: The file for rows that are set aside, as JSON lines of `line`, `reason` and `row`; `None` is the
            target's name with `.rejected.jsonl` behind it, and for standard output none: warnings tell the first.
        resume: Whether to go on where a run was killed that had the same source, model and options, if there was one.
        shard: Which part of how many, counted from 1: `(2, 8)`. Parts are cut between chunks; one after another they
            are the whole.

    Returns:
        The number of rows answered.

    Raises:
        InputError: If a column is missing, or no row can be read, or one where this is strict; or the target cannot be
            written, or is the source; or what was begun is not what is to be gone on with.
    """
    if rejected is None and not is_stream(target):
        rejected = f"{target}.rejected.jsonl"
    _refuse_one_file(source, target, rejected)
    with open_source(source) as rows:
        if rows.columns is not None:
            classifier.inputs.check_columns(rows.columns or [classifier.inputs.text], f"file {rows.name}")
        carried = Carried(classifier.labels, classifier.artefact.decision, carry, [classifier.inputs.tokens])
        table = show is None and is_table(target)
        count, columns = _looked_up(source, rows, shard is not None, table and carry != [])
        writer = make_writer(target, show, carried.table(columns, f"file {rows.name}") if table else None)
        options = {"carry": carry and list(carry), "strict": strict, "shard": shard and list(shard)}
        job = None if is_stream(target) else lambda: _job(classifier, source, writer, options, resume)
        with open_sink(target, rejected, job, writer, resume) as sink:
            run = _Run(classifier, rows, carried, writer, sink, strict, batch_size)
            run.answer(_part(count, shard))
            sink.publish(writer)
    _warn(sink.tally, rows.name, rejected)
    return sink.tally.answered


def _warn(tally: Tally, name: str, rejected: str | None) -> None:
    """Say which rows were answered though they are empty, and which were not answered."""
    if tally.empty:
        warnings.warn(
            f"{name}: {tally.empty} of {tally.answered} rows have an empty text; they are answered", stacklevel=3
        )
    if tally.rejected:
        where = f"set aside in {rejected}" if rejected else "left out; --rejected FILE keeps them"
        warnings.warn(
            f"{name}: {tally.rejected} of {tally.taken} rows are {where}; the first: {tally.first}", stacklevel=3
        )


def _refuse_one_file(source: str, target: str | None, rejected: str | None) -> None:
    """Keep what is written from taking the place of the rows, which may be the only copy, or of each other."""
    for written in (target, rejected):
        if source == "-" or written is None or written == "-":
            continue
        if os.path.isfile(source) and os.path.isfile(written) and os.path.samefile(source, written):
            raise InputError(
                f"the answers would replace the rows, as {written} is {source}: write them to another file"
            )
    if target is None or rejected is None or is_stream(target):
        return
    if os.path.realpath(target) == os.path.realpath(rejected):
        raise InputError(f"--rejected {rejected} is the file of the answers, {target}: give another")


def _looked_up(
    source: str, rows: Source, needs_count: bool, needs_columns: bool
) -> tuple[int | None, dict[str, pa.DataType]]:
    """How many rows there are, if that is needed, and the columns they bring to a table."""
    if not needs_count and not (needs_columns and rows.columns is None):
        return None, rows.columns or {}
    return survey(source)


def _part(count: int | None, shard: tuple[int, int] | None) -> tuple[int, int | None]:
    """The first row of a part, and the one after its last."""
    if count is None or shard is None:
        return 0, None
    number, parts = shard
    if not 1 <= number <= parts:
        raise InputError(f"shard {number}/{parts} is none: count from 1/{parts} to {parts}/{parts}")
    chunks = -(-count // _CHUNK)
    start, stop = (min(chunks * place // parts * _CHUNK, count) for place in (number - 1, number))
    return start, stop


def _job(classifier: Classifier, source: str, writer: Writer, options: dict[str, Any], resume: bool) -> dict[str, Any]:
    """What a run has in common with the one it goes on with."""
    if os.path.isfile(source):
        return {
            "input": file_digest(Path(source)),
            "model": model_digest(classifier.artefact),
            "columns": classifier.inputs.columns,
            "form": type(writer).__name__,
            **options,
        }
    if resume:
        name = "standard input" if source == "-" else source
        raise InputError(f"{name} cannot be read from where a run stopped: save it to a file, or leave out --resume")
    return options


@dataclass
class _Run:
    """The way of rows from a source to a sink."""

    classifier: Classifier
    rows: Source
    carried: Carried
    writer: Writer
    sink: Sink
    strict: bool
    batch_size: int

    def answer(self, part: tuple[int, int | None]) -> None:
        """Answer the rows of a part, from where the sink stands."""
        tally = self.sink.tally
        start, stop = part
        start += tally.taken
        next(itertools.islice(self.rows.rows, start, start), None)  # passes over so many
        rows = itertools.islice(self.rows.rows, None if stop is None else stop - start)
        with progress_bar(self.rows, start, stop) as progress:
            while chunk := list(itertools.islice(rows, _CHUNK)):
                read, brought, rejected = self._read(chunk)
                answers = self.classifier.predict_read(read, self.batch_size)
                tally.taken += len(chunk)
                tally.answered += len(read)
                tally.empty += sum(row.is_empty for row in read)
                tally.rejected += len(rejected)
                self.sink.append(self.writer.encode(brought, answers), rejected, is_last=len(chunk) < _CHUNK)
                progress(len(chunk))
        if tally.taken and not tally.answered:
            raise InputError(f"{self.rows.name}: none of {tally.taken} rows can be answered; the first: {tally.first}")

    def _read(self, chunk: list[Numbered]) -> tuple[list[ReadRow], list[dict[str, Any]], list[Rejected]]:
        """Of the rows that can be read what is answered and what is carried along, and those that cannot."""
        read, brought, rejected = [], [], []
        for number, row in chunk:
            try:
                if isinstance(row, RowError):
                    raise row
                where = self.rows.where(number)
                inputs = self.classifier.inputs.read(row, where)
                brought.append(self.carried.take(row, where))
                read.append(inputs)
            except InputError as error:
                if self.strict:
                    raise
                raw = row.raw if isinstance(row, RowError) else row
                rejected.append({"line": number, "reason": str(error), "row": raw})
                self.sink.tally.first = self.sink.tally.first or str(error)
        return read, brought, rejected
