"""What a run has written so far, beside the file it is to be, such that a killed run can be gone on with.

The draft of `answers.jsonl` is the folder `.answers.jsonl.partial`. Answers, and rows that are set aside, are appended
to two files in it. Every few seconds, after a chunk, both are written out to the disk, and then how long they are, with
the number of rows they come from, in `state.json`, which is replaced as a whole. What a killed process wrote after that
is cut off when the run goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from lightning_clf.errors import InputError
from lightning_clf.files import held_alone, is_stream, made_parents, writable, write_bytes_atomically
from lightning_clf.inference.writers import Rejected, Writer, json_line

_STATE = "state.json"
_FILES = _ANSWERS, _REJECTED = "answers", "rejected"
_SECONDS = 5.0  # between two states, as a disk may take a tenth of one to have written what it was given
_ANEW = "start anew without --resume"


@dataclass
class Tally:
    """How far a run is.

    Attributes:
        taken: Rows that were read.
        answered: Rows that were answered.
        empty: Of them, those without text.
        left_out: Of them, by task, those that lack its columns.
        rejected: Rows that were set aside.
        first: What is wrong with the first of those.
        carried: Of the columns that were named to be carried along, those that any row had.
    """

    taken: int = 0
    answered: int = 0
    empty: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    first: str = ""
    carried: list[str] = field(default_factory=list)


class Draft:
    """The draft of one file of answers, held by one process at a time.

    Args:
        target: The file it is to be.
        rejected: The file of rows that are set aside.
        job: Tells what a run must have in common with the one it goes on with, by the name of each thing. It is asked
            for the first state, or to go on with one: a short run has no use for it.

    Attributes:
        tally: How far the run is.
    """

    def __init__(self, target: Path, rejected: Path, job: Callable[[], Mapping[str, Any]]) -> None:
        self.target, self.rejected, self._tell_job = target, rejected, job
        self.folder = target.with_name(f".{target.name}.partial")
        self.tally = Tally()
        self._files: list[BinaryIO] = []
        self._complete = self._has_state = False
        self._stated = time.monotonic()

    @contextlib.contextmanager
    def open(self, writer: Writer, resume: bool) -> Iterator[None]:
        """Hold the draft, from where the state says it is whole, or empty.

        What a run that is stopped leaves stays if there is a state of it, unless bad input is what stopped it.

        Raises:
            InputError: If another process holds it, it is not of the same job, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with writable(self.target):
                stack.enter_context(made_parents(self.folder))
                self.folder.mkdir(exist_ok=True)
            holder = os.open(self.folder, os.O_RDONLY)
            stack.callback(os.close, holder)
            stack.enter_context(held_alone(holder, self.target))
            is_kept = resume  # what cannot be gone on with now may be as it should be given
            try:
                with writable(self.target):
                    self._open_files(stack, writer, resume)
                is_kept = False
                yield
            except BaseException as error:
                is_kept |= self._has_state and not (
                    isinstance(error, InputError) and not isinstance(error.__cause__, OSError)
                )
                if not is_kept:
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise

    def _open_files(self, stack: contextlib.ExitStack, writer: Writer, resume: bool) -> None:
        lengths = self._read_state() if resume else None
        if self._complete:
            return
        if lengths is None:
            (self.folder / _STATE).unlink(missing_ok=True)
        for name, length in zip(_FILES, lengths or (None, None), strict=True):
            self._files.append(stack.enter_context(_open_at(self.folder / name, length)))
        if lengths is None:
            self._files[0].write(writer.start())

    def append(self, answers: bytes, rejected: Sequence[Rejected], is_last: bool) -> None:
        """Add a chunk, the rows that were set aside in it, and the tally as it is after it."""
        with writable(self.target):
            self._files[0].write(answers)
            self._files[1].write(b"".join(map(json_line, rejected)))
            if not is_last and time.monotonic() - self._stated >= _SECONDS:
                self._write_state()

    def publish(self, writer: Writer) -> None:
        """Put the answers under their name, and the rows that were set aside under theirs."""
        with writable(self.target):
            if not self._complete:
                self._sync()
                writer.finish(self.folder / _ANSWERS)
                self._complete = True
                if self._has_state:
                    self._write_state()  # from here on a run that is killed goes on here
            self._publish_rejected()
            if (self.folder / _ANSWERS).exists():
                (self.folder / _ANSWERS).replace(self.target)
            shutil.rmtree(self.folder)

    def _publish_rejected(self) -> None:
        with writable(self.rejected):
            if not self.tally.rejected:
                if not is_stream(self.rejected):
                    self.rejected.unlink(missing_ok=True)  # of a run before this one
                return
            with (self.folder / _REJECTED).open("rb") as file, write_bytes_atomically(self.rejected) as out:
                shutil.copyfileobj(file, out)

    def _sync(self) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())

    def _write_state(self) -> None:
        self._sync()
        self._has_state = True
        state = {
            "job": self._job,
            "tally": dataclasses.asdict(self.tally),
            "lengths": [file.tell() for file in self._files],
            "complete": self._complete,
        }
        with write_bytes_atomically(self.folder / _STATE) as out:
            out.write(json.dumps(state, indent=1).encode())
        self._stated = time.monotonic()

    @cached_property
    def _job(self) -> Mapping[str, Any]:
        return self._tell_job()

    def _read_state(self) -> list[int] | None:
        """How long each file is, or nothing where there is no state."""
        path = self.folder / _STATE
        try:
            state = json.loads(path.read_bytes())
            job, tally, lengths = state["job"], Tally(**state["tally"]), list(state["lengths"])
            self._complete = state["complete"]
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} does not say where the run stopped ({error}): {_ANEW}") from error
        for name in dict.fromkeys([*self._job, *job]):
            then, now = job.get(name), self._job.get(name)
            if then != now:
                raise InputError(
                    f"the run that {self.folder} is of had another {name}{_both(then, now)}: give it as it was, or "
                    f"{_ANEW}"
                )
        self.tally, self._has_state = tally, True
        return lengths


def _both(then: Any, now: Any) -> str:
    """What was and what is, where it can be shown: a digest says nothing."""
    digests = all(isinstance(value, str) and len(value) == 64 for value in (then, now))
    return "" if digests else f" ({json.dumps(then)}, now {json.dumps(now)})"


@contextlib.contextmanager
def _open_at(path: Path, length: int | None) -> Iterator[BinaryIO]:
    """A file to append to, cut to a length; empty where there is none."""
    if length is None:
        with path.open("wb") as file:
            yield file
        return
    if not path.is_file() or path.stat().st_size < length:
        raise InputError(f"{path} is shorter than it was: {_ANEW}")
    with path.open("r+b") as file:
        file.truncate(length)
        file.seek(length)
        yield file
