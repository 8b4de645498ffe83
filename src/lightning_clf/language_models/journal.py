"""What was paid for, kept such that nothing is paid for twice.

A journal is a file of JSON lines, one a reply, which is only ever appended to. A reply is on the disk before anything
is made of it, under the digest of its request. One that cannot be used was paid for too, and is kept and counted alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lightning_clf.errors import InputError
from lightning_clf.files import held_alone, made_parents, writable
from lightning_clf.language_models.cost import Budget, Usage
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.prompt import Answer, Prompt, Reply, parse

_AHEAD = 4  # requests that are prepared, for each that is out
_SHAPE = dataclasses.asdict(Reply("", 0, 0))


class Kept(NamedTuple):
    """A reply, and when it came."""

    reply: Reply
    date: str


class Journal:
    """The replies of one file, asked for where they are not there yet. A context manager: it is closed at the end.

    Args:
        path: The file.
        resume: Go on with the file where there is one; else one that is there is an error.
        budget: How much may be spent, by all runs on this file together; `None` is no limit.
        attempts: How often a prompt is asked before it is given up, as no reply is of its schema.

    Attributes:
        spent: What all replies in the file took, those of runs before this one too.
        found: What of it was there before.
    """

    def __init__(self, path: Path, *, resume: bool, budget: Budget | None = None, attempts: int = 3) -> None:
        self.path, self._budget, self._attempts = path, budget, attempts
        self._kept: dict[str, Kept] = {}
        self._asked: dict[str, Future[Kept]] = {}
        self._lock, self._reserved = threading.Lock(), 0.0
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._file = self._open(stack, resume)
            self._closing = stack.pop_all()
        self.found = self.spent = sum((_usage(kept.reply) for kept in self._kept.values()), Usage())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()
        if self._is_new and not self._kept:  # nothing was asked
            self.path.unlink(missing_ok=True)

    def has(self, model: LanguageModel, prompt: Prompt) -> bool:
        """Whether the first attempt at a prompt was paid for."""
        return prompt.digest(model.name) in self._kept

    def ask(self, model: LanguageModel, prompt: Prompt) -> Answer:
        """Ask, and ask again while the reply is not of the schema; what is in the file is not asked for.

        Raises:
            InputError: If there is no reply to be had, the budget is at its end, or the file cannot be written.
        """
        digest = date = fault = ""
        for attempt in range(self._attempts):
            one = replace(prompt, attempt=attempt)
            digest = one.digest(model.name)
            reply, date = self._find(model, one, digest)
            try:
                return Answer(parse(reply, prompt.schema), digest, date)
            except ValueError as error:
                fault = str(error)
        return Answer(None, digest, date, fault)

    def ask_all(self, model: LanguageModel, prompts: Iterable[Prompt]) -> Generator[Answer]:
        """The answers to prompts, in their order, as many at a time as the model takes.

        Where one fails, what is out already is waited for and kept, since it is paid.

        Raises:
            InputError: As `ask` does.
        """
        remaining = iter(prompts)
        pool = ThreadPoolExecutor(model.concurrency)
        # whatever happens to who asks: the file is closed after the last reply is in it
        self._closing.callback(pool.shutdown, cancel_futures=True)

        def begin(count: int) -> Iterator[Future[Answer]]:
            return (pool.submit(self.ask, model, prompt) for prompt in islice(remaining, count))

        try:
            waiting = deque(begin(_AHEAD * model.concurrency))
            while waiting:
                answer = waiting.popleft().result()
                waiting.extend(begin(1))
                yield answer
        except (Exception, KeyboardInterrupt):
            model.give_up()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _find(self, model: LanguageModel, prompt: Prompt, digest: str) -> Kept:
        """The reply in the file, or that which another thread waits for, or a new one."""
        with self._lock:
            if digest in self._kept:
                return self._kept[digest]
            others = self._asked.get(digest)
            if others is None:
                ours = self._asked[digest] = Future[Kept]()
        if others is not None:
            return others.result()
        try:
            with self._reserving(model, prompt):
                # what it was is counted before what it might have been is let go
                kept = self._append(model, prompt, digest, model.ask(prompt))
        except BaseException as error:
            ours.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[digest]
        ours.set_result(kept)
        return kept

    @contextlib.contextmanager
    def _reserving(self, model: LanguageModel, prompt: Prompt) -> Iterator[None]:
        """Hold back what a request may cost while it is out, so that several together do not go beyond the limit."""
        if self._budget is None:
            yield
            return
        most = self._budget.prices.of(model.most(prompt))
        with self._lock:
            spent = self._budget.prices.of(self.spent)
            if spent + self._reserved + most > self._budget.limit:
                raise InputError(
                    f"after {self.spent.calls} replies for {spent:.4f} the next could go beyond the limit of "
                    f"{self._budget.limit:g}: what was paid is kept in {self.path}; go on with --resume and more"
                )
            self._reserved += most
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= most

    def _append(self, model: LanguageModel, prompt: Prompt, digest: str, reply: Reply) -> Kept:
        kept = Kept(reply, datetime.now(UTC).isoformat(timespec="seconds"))
        line = {
            "request": digest,
            "model": model.name,
            "attempt": prompt.attempt,
            "date": kept.date,
            **dataclasses.asdict(reply),
        }
        with self._lock, writable(self.path):
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._kept[digest] = kept
            self.spent += _usage(reply)
        return kept

    def _open(self, stack: contextlib.ExitStack, resume: bool) -> BinaryIO:
        if not resume and self.path.exists() and self.path.stat().st_size:
            raise InputError(f"{self.path} holds replies that were paid for: add --resume to use them, or remove it")
        self._is_new = not self.path.exists()
        with writable(self.path), made_parents(self.path):
            file = stack.enter_context(self.path.open("a+b"))
        stack.enter_context(held_alone(file.fileno(), self.path))
        file.seek(0)
        whole = 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):  # a process was killed as it wrote it
                break
            whole += len(line)
            digest, kept = self._read(line, number)
            self._kept[digest] = kept
        file.truncate(whole)
        return file

    def _read(self, line: bytes, number: int) -> tuple[str, Kept]:
        try:
            found = json.loads(line)
            names = [field.name for field in dataclasses.fields(Reply)]
            reply = Reply(**{name: found[name] for name in names})
            if not all(type(getattr(reply, name)) is type(found) for name, found in _SHAPE.items()):
                raise ValueError("a value is of another type")
            return str(found["request"]), Kept(reply, str(found["date"]))
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} line {number} is no reply that was kept ({error!r}): correct it, or remove the file"
            ) from error


def _usage(reply: Reply) -> Usage:
    return Usage(1, reply.tokens_in, reply.tokens_out)
