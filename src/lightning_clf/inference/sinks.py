"""Where answers go: a draft beside their file, or straight to standard output, a pipe or a device."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lightning_clf.errors import InputError
from lightning_clf.files import is_stream as is_stream_file
from lightning_clf.files import writable, write_bytes_atomically
from lightning_clf.inference.draft import Draft, Tally
from lightning_clf.inference.writers import Rejected, Writer, json_line

_TOLD = 10  # rows that are told one by one where nothing keeps them


class Sink(Protocol):
    """Takes chunks of answers, in order."""

    tally: Tally

    def append(self, answers: bytes, rejected: Sequence[Rejected], is_last: bool) -> None:
        """Take a chunk, and the rows that were set aside in it."""

    def publish(self, writer: Writer) -> None:
        """There are no more."""


class Stream:
    """Hands on what it takes.

    Args:
        target: A pipe or a device; `None` or `-` is standard output.
        rejected: The file for rows that are set aside, which appears once it is whole.
    """

    def __init__(self, target: str | None, rejected: str | None) -> None:
        self.tally = Tally()
        self._target = None if target == "-" else target
        self._rejected = rejected
        self._open = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        self._kept: BinaryIO | None = None

    def __enter__(self) -> Stream:
        self._file, self._kept = self._enter(self._target), self._enter(self._rejected)
        return self

    def _enter(self, name: str | None) -> BinaryIO | None:
        if name is None:
            return None
        with writable(Path(name)):
            return self._open.enter_context(write_bytes_atomically(Path(name)))

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def append(self, answers: bytes, rejected: Sequence[Rejected], is_last: bool) -> None:
        """Hand on a chunk."""
        told = self.tally.rejected - len(rejected)
        if self._kept is not None:
            with writable(Path(str(self._rejected))):
                self._kept.write(b"".join(map(json_line, rejected)))
                self._kept.flush()
        else:
            for row in rejected[: max(0, _TOLD - told)]:
                warnings.warn(f"left out: {row['reason']}", stacklevel=2)
        if self._file is None:
            _print(answers)
        else:
            with writable(Path(str(self._target))):
                self._file.write(answers)
                self._file.flush()

    def publish(self, writer: Writer) -> None:
        """All has been handed on."""


def _print(answers: bytes) -> None:
    """Write UTF-8 to standard output, whatever the locale; a notebook has text in its place."""
    if hasattr(sys.stdout, "buffer"):
        sys.stdout.flush()
        sys.stdout.buffer.write(answers)
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(answers.decode())


def is_stream(target: str | None) -> bool:
    """Whether answers are handed on as they come: there is no file to make whole."""
    return target is None or target == "-" or is_stream_file(Path(target))


@contextlib.contextmanager
def open_sink(
    target: str | None, rejected: str | None, job: Callable[[], Mapping[str, Any]] | None, writer: Writer, resume: bool
) -> Iterator[Sink]:
    """What takes the answers.

    Args:
        target: Where they go.
        rejected: The file for rows that are set aside.
        job: Tells what a draft is of; `None` for a stream, which has none.
        writer: What makes the bytes.
        resume: Whether to go on with what lies there.

    Raises:
        InputError: If it cannot be written, or gone on with.
    """
    if job is not None and target is not None and rejected is not None:
        draft = Draft(Path(target), Path(rejected), job)
        with draft.open(writer, resume):
            yield draft
        return
    if resume:
        raise InputError("only a file is gone on with, not what is handed on: give --output, or leave out --resume")
    with Stream(target, rejected) as stream:
        stream.append(writer.start(), [], is_last=False)
        yield stream
