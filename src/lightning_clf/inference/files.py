"""A file of rows in, a file of JSON lines out, in the same order."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from lightning_clf.data.readers import FORMATS, decode_lines, parse_json_lines, read_lines, read_rows, suffix_format
from lightning_clf.errors import InputError
from lightning_clf.files import write_atomically
from lightning_clf.inference.classifier import Answer, Classifier

_CHUNK = 2048  # rows sorted by length together; what is held in memory at a time
_PLAIN = ("", ".txt", ".text")  # suffixes of plain text


def predict_file(
    classifier: Classifier,
    source: str,
    target: str | None,
    *,
    batch_size: int = 32,
    show: Callable[[Answer], str] | None = None,
) -> int:
    """Answer every row of a file.

    Args:
        classifier: What answers.
        source: A `.jsonl`, `.csv` or `.tsv` (both with a header), `.parquet` or `.conll` file; or `.txt`, or a file
            without a suffix, of plain text, one input a line. `-` is standard input, as JSON lines if its first line is
            an object, else plain text, in UTF-8 whatever the locale.
        target: The file to write, one JSON object a row; it appears once it is whole. `None` or `-` is standard output.
        batch_size: How many rows share a forward pass.
        show: How an answer becomes a line; `None` writes JSON.

    Returns:
        The number of rows answered.

    Raises:
        InputError: If a row cannot be read, named by its line, or the target cannot be written, or is the source.
    """
    _refuse_one_file(source, target)
    show = show or (lambda result: json.dumps(result, ensure_ascii=False))
    count = empty = 0
    name = "standard input" if source == "-" else source
    progress = tqdm(desc="predict", unit="row", disable=not sys.stderr.isatty())
    with _open_target(target) as out, progress:
        for chunk in _chunks(_rows(source)):
            read = [classifier.inputs.read(row, f"{name} line {number}") for number, row in chunk]
            for result in classifier.predict_read(read, batch_size):
                out.write(show(result) + "\n")
            count += len(chunk)
            empty += sum(row.is_empty for row in read)
            progress.update(len(chunk))
    if empty:
        warnings.warn(f"{name}: {empty} of {count} rows have an empty text; they are answered", stacklevel=2)
    return count


def _refuse_one_file(source: str, target: str | None) -> None:
    """Keep answers from taking the place of the rows, which may be the only copy."""
    if source == "-" or target is None or target == "-":
        return
    if os.path.isfile(source) and os.path.isfile(target) and os.path.samefile(source, target):
        raise InputError(f"the answers would replace the rows, as {target} is {source}: write them to another file")


def _rows(source: str) -> Iterator[tuple[int, str | dict[str, Any]]]:
    if source == "-":
        yield from _standard_input()
        return
    path = Path(source)
    format = suffix_format(path)
    if format is not None:
        yield from read_rows(path, format)
    elif path.suffix.lower() in _PLAIN or not path.is_file():
        yield from _not_empty(read_lines(path), f"file {source}")
    else:
        raise InputError(
            f"file {source} has a suffix that tells no format: use one of {', '.join(FORMATS)}, or txt for plain text, "
            "one input a line"
        )


def _not_empty(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, str]]:
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name} is empty: give one input a line")
    yield first
    yield from lines


def _typed() -> Iterator[bytes]:
    """The lines of standard input, which a notebook or a test may have put text in the place of."""
    if hasattr(sys.stdin, "buffer"):
        yield from sys.stdin.buffer
    else:
        yield from (line.encode("utf-8", "surrogatepass") for line in sys.stdin or ())


def _standard_input() -> Iterator[tuple[int, str | dict[str, Any]]]:
    name = "standard input"
    lines = _not_empty(decode_lines(_typed(), name, "recode it, as iconv -f LATIN1 -t UTF-8 does"), name)
    first = next(lines)
    lines = itertools.chain([first], lines)
    if first[1].lstrip().startswith("{"):
        yield from parse_json_lines(lines, name)
    else:
        yield from ((number, line.rstrip("\r\n")) for number, line in lines)


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


@contextlib.contextmanager
def _open_target(target: str | None) -> Iterator[TextIO]:
    if target is None or target == "-":
        yield sys.stdout
    else:
        with write_atomically(Path(target)) as file:
            yield file
