"""A file of rows in, a file of answers out, in the same order."""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lightning_clf.errors import InputError
from lightning_clf.inference.answers import Answer
from lightning_clf.inference.chunks import Chunk, Way
from lightning_clf.inference.digests import file_digest
from lightning_clf.inference.draft import Tally
from lightning_clf.inference.on_ray import RayEngine
from lightning_clf.inference.predictor import Predictor
from lightning_clf.inference.progress import progress_bar
from lightning_clf.inference.sinks import Sink, is_stream, open_sink
from lightning_clf.inference.source import Source, open_source, survey
from lightning_clf.inference.writers import Writer, check_suffix, is_table, make_writer

_CHUNK = 2048  # rows sorted by length together; what is held in memory at a time, and lost if the process is killed


def predict_file(
    classifier: Predictor,
    source: str,
    target: str | None,
    *,
    batch_size: int = 64,
    show: Callable[[Answer], str] | None = None,
    carry: Sequence[str] | None = None,
    strict: bool = False,
    rejected: str | None = None,
    resume: bool = False,
    shard: tuple[int, int] | None = None,
    engine: RayEngine | None = None,
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
        engine: What answers in place of this process, to the same end; the classifier then says what, not where.

    Returns:
        The number of rows answered.

    Raises:
        InputError: If a column is missing, or no row can be read, or one where this is strict; or the target cannot be
            written, or is the source; or what was begun is not what is to be gone on with.
    """
    check_suffix(target)
    rejected = rejected or rejected_file(target)
    table = show is None and is_table(target)
    _refuse_one_file(source, target, rejected)
    _refuse_streams(target, rejected, is_table=table)
    if engine is not None and source == "-":
        raise InputError("standard input is not where workers on Ray can read it: save it to a file")
    carried = classifier.carried(carry)
    with open_source(source) as rows:
        if rows.columns is not None:
            classifier.inputs.check_columns(rows.columns, f"file {rows.name}")
            carried.check(rows.columns, f"file {rows.name}")
        count, columns = _looked_up(source, rows, bool(shard or engine), table and carry != [])
        writer = make_writer(target, show, carried.table(columns, f"file {rows.name}") if table else None)
        options = {"carry": carry and list(carry), "strict": strict, "shard": shard and list(shard)}
        job = None if is_stream(target) else lambda: _job(classifier, source, writer, options, resume)
        with open_sink(target, rejected, job, writer, resume) as sink:
            start, stop = _part(count, shard, rows.name)
            start += sink.tally.taken
            way = Way(carried, writer, strict, batch_size)
            if engine is None:
                chunks = _answer_here(classifier, way, rows, start, stop)
            else:
                chunks = engine.answer(classifier, way, source, _spans(start, stop))
            _take_all(chunks, sink, rows, start, stop)
            sink.publish(writer)
    _warn(sink.tally, rows.name, rejected, carry or ())
    return sink.tally.answered


def rejected_file(target: str | None) -> str | None:
    """Where rows go that cannot be read, unless another file is named: nowhere beside a stream."""
    return None if is_stream(target) else f"{target}.rejected.jsonl"


def _take_all(chunks: Generator[Chunk, None, None], sink: Sink, rows: Source, start: int, stop: int | None) -> None:
    """Hand all chunks to the sink, with a bar, and refuse to end with nothing."""
    with contextlib.closing(chunks), progress_bar(rows, start, stop) as progress:
        for chunk in chunks:
            _take(chunk, sink)
            progress(chunk.taken)
    _refuse_none(sink.tally, rows.name)


def _warn(tally: Tally, name: str, rejected: str | None, carry: Sequence[str]) -> None:
    """Say which rows were answered though they are empty, which were not answered, and what none brought along."""
    for column in carry:
        if column not in tally.carried and tally.taken:  # of rows each with its own columns, as in JSON lines
            warnings.warn(
                f"{name}: none of {tally.taken} rows has a column {column!r} to carry along: correct --carry",
                stacklevel=3,
            )
    if tally.empty:
        warnings.warn(
            f"{name}: {tally.empty} of {tally.answered} rows have an empty text; they are answered", stacklevel=3
        )
    for task, count in tally.left_out.items():
        warnings.warn(
            f"{name}: {count} of {tally.answered} rows lack the columns of task {task}, which is left out of their "
            "answers",
            stacklevel=3,
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


def _refuse_streams(target: str | None, rejected: str | None, *, is_table: bool) -> None:
    """Keep to files what can be nothing else, before anything is answered."""
    if rejected == "-":
        raise InputError("--rejected - is no file, and standard output is for answers: name one, or leave it out")
    if rejected is not None and os.path.isdir(rejected):
        raise InputError(f"--rejected {rejected} is a folder: name a file")
    if is_table and target is not None and target.lower().endswith(".parquet") and is_stream(target):
        raise InputError(f"output {target} is there and no file, and Parquet is written to files alone: name another")


def _looked_up(
    source: str, rows: Source, needs_count: bool, needs_columns: bool
) -> tuple[int | None, dict[str, pa.DataType]]:
    """How many rows there are, if that is needed, and the columns they bring to a table."""
    if not needs_count and not (needs_columns and rows.columns is None):
        return None, rows.columns or {}
    return survey(source)


def _part(count: int | None, shard: tuple[int, int] | None, name: str) -> tuple[int, int | None]:
    """The first row of a part, and the one after its last, where that is known. Says where there is none."""
    if count is None or shard is None:
        return 0, count
    number, parts = shard
    if not 1 <= number <= parts:
        raise InputError(f"shard {number}/{parts} is none: count from 1/{parts} to {parts}/{parts}")
    chunks = -(-count // _CHUNK)
    start, stop = (min(chunks * place // parts * _CHUNK, count) for place in (number - 1, number))
    if start == stop:
        parted = f"parts are of whole {_CHUNK:,} rows, and there are {count}"
        warnings.warn(f"{name}: part {number}/{parts} has no row: {parted}", stacklevel=3)
    return start, stop


def _job(classifier: Predictor, source: str, writer: Writer, options: dict[str, Any], resume: bool) -> dict[str, Any]:
    """What a run has in common with the one it goes on with."""
    if os.path.isfile(source):
        return {
            "input": file_digest(Path(source)),
            "model": classifier.digest(),
            "columns": classifier.inputs.columns,
            "asks": classifier.asks,
            "form": type(writer).__name__,
            **options,
        }
    if resume:
        name = "standard input" if source == "-" else source
        raise InputError(f"{name} cannot be read from where a run stopped: save it to a file, or leave out --resume")
    return options


def _answer_here(
    classifier: Predictor, way: Way, source: Source, start: int, stop: int | None
) -> Generator[Chunk, None, None]:
    """Answer the rows of a source from one to another, passing over those before."""
    next(itertools.islice(source.rows, start, start), None)
    rows = itertools.islice(source.rows, None if stop is None else stop - start)
    return (way.answer(classifier, source, chunk) for chunk in iter(lambda: list(itertools.islice(rows, _CHUNK)), []))


def _spans(start: int, stop: int | None) -> list[tuple[int, int]]:
    """The chunks of a part of which it is known where it ends."""
    assert stop is not None
    return [(place, min(place + _CHUNK, stop)) for place in range(start, stop, _CHUNK)]


def _take(chunk: Chunk, sink: Sink) -> None:
    """Hand a chunk on, and count it."""
    tally = sink.tally
    tally.taken += chunk.taken
    tally.answered += chunk.answered
    tally.empty += chunk.empty
    tally.rejected += len(chunk.rejected)
    tally.left_out = dict(Counter(tally.left_out) + chunk.left_out)
    tally.carried = sorted({*tally.carried, *chunk.carried})
    if chunk.rejected:
        tally.first = tally.first or chunk.rejected[0]["reason"]
    sink.append(chunk.answers, chunk.rejected, is_last=chunk.taken < _CHUNK)


def _refuse_none(tally: Tally, name: str) -> None:
    """Take a file of which no row could be answered for one that was meant otherwise."""
    if tally.taken and not tally.answered:
        raise InputError(f"{name}: none of {tally.taken} rows can be answered; the first: {tally.first}")
