"""One line for the texts of all requests, and one thread that answers them in batches of about one length."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class StoppedError(Exception):
    """The thread that answers has ended, and answers no more."""


@dataclass(eq=False)
class Job:
    """The texts of one request, whose answers are given together.

    Attributes:
        answers: One a text, as far as they are known.
        missing: How many are not.
        future: Gets all of them, or what went wrong with the first that failed.
    """

    answers: list[Any]
    missing: int
    future: Future[list[Any]] = field(default_factory=Future)


@dataclass(eq=False)
class Work(Generic[T]):
    """A text that waits.

    Attributes:
        item: What is computed.
        length: Its subwords.
        job: The request it is of.
        place: Where its answer belongs there.
    """

    item: T
    length: int
    job: Job
    place: int


def cut(works: Iterable[Work[T]], max_tokens: int) -> list[list[Work[T]]]:
    """Put texts of about one length together.

    Args:
        works: The texts.
        max_tokens: What a batch may hold, the padding up to its longest text included. A longer text is alone.
    """
    batches: list[list[Work[T]]] = []
    for work in sorted(works, key=lambda work: work.length):  # whoever comes next is the longest of its batch
        if not batches or work.length * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
        batches[-1].append(work)
    return batches


class Line(Generic[T]):
    """What waits, and for how long. It knows no thread, and no clock but what it is told.

    All that waits is taken at once, so that nothing can be overtaken for ever, whatever its length.

    Args:
        max_tokens: What a batch may hold.
        max_wait: Seconds the first to come waits for others to share a batch with.
    """

    def __init__(self, max_tokens: int, max_wait: float) -> None:
        self.max_tokens = max_tokens
        self.max_wait = max_wait
        self._works: list[Work[T]] = []
        self._tokens = 0
        self._since = 0.0

    def add(self, works: Sequence[Work[T]], now: float) -> None:
        """Let texts wait from now on."""
        if not self._works:
            self._since = now
        self._works.extend(works)
        self._tokens += sum(work.length for work in works)

    def patience(self, now: float) -> float | None:
        """Seconds in which others may still come; 0 if a batch is full, or was waited for; `None` if none waits."""
        if not self._works:
            return None
        return 0.0 if self._tokens >= self.max_tokens else max(0.0, self._since + self.max_wait - now)

    def take(self) -> list[list[Work[T]]]:
        """All that waits, in batches."""
        works, self._works, self._tokens = self._works, [], 0
        return cut(works, self.max_tokens)


class Batcher(Generic[T]):
    """A thread that answers what other threads hand in.

    Args:
        compute: Answers the items of one batch, in their order. What it raises, the requests that have a text in the
            batch get; the others are answered.
        max_tokens: What a batch may hold, padding included.
        max_wait: Seconds a text waits for others at most while nothing is computed.
        clock: Tells the time.
    """

    def __init__(
        self,
        compute: Callable[[list[T]], Sequence[Any]],
        max_tokens: int,
        max_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compute = compute
        self._line: Line[T] = Line(max_tokens, max_wait)
        self._clock = clock
        self._changed = threading.Condition()
        self._open = True
        # a computation that hangs keeps no process from ending
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether what is handed in will be answered."""
        return self._open and self._thread.is_alive()

    def submit(self, items: Sequence[T], lengths: Sequence[int]) -> Future[list[Any]]:
        """Hand in the texts of a request.

        Args:
            items: What `compute` is given.
            lengths: The subwords of each.

        Returns:
            What will hold one answer an item, in their order.

        Raises:
            StoppedError: If nothing is answered any more.
        """
        job = Job([None] * len(items), len(items))
        job.future.set_running_or_notify_cancel()  # so that nobody can take it back while it is computed
        works = [Work(*each, job, place) for place, each in enumerate(zip(items, lengths, strict=True))]
        with self._changed:
            if not self._open:
                raise StoppedError
            self._line.add(works, self._clock())
            self._changed.notify()
        if not works:
            job.future.set_result([])
        return job.future

    def close(self, timeout: float | None = None) -> None:
        """Answer what waits, and end. Nothing more can be handed in.

        Args:
            timeout: Seconds to wait for the end; `None` waits for as long as it takes.
        """
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        batches: list[list[Work[T]]] = []
        try:
            while batches := self._next():
                for batch in batches:
                    self._answer(batch)
        finally:  # without an error nothing is left
            with self._changed:
                self._open = False
                batches += self._line.take()
            for batch in batches:
                _fail(batch, StoppedError())

    def _next(self) -> list[list[Work[T]]]:
        """The next batches, once it is time; none when all is done."""
        with self._changed:
            while self._open and (patience := self._line.patience(self._clock())) != 0:
                self._changed.wait(patience)
            return self._line.take()

    def _answer(self, batch: list[Work[T]]) -> None:
        batch = [work for work in batch if not work.job.future.done()]  # of a request that has failed already
        if not batch:
            return
        try:
            answered = list(zip(batch, self._compute([work.item for work in batch]), strict=True))
        except Exception as error:  # whatever a model raises, the next batch may be answered
            _fail(batch, error)
            return
        for work, answer in answered:
            work.job.answers[work.place] = answer
            work.job.missing -= 1
            if not work.job.missing:
                work.job.future.set_result(work.job.answers)


def _fail(batch: list[Work[T]], error: Exception) -> None:
    for work in batch:
        if not work.job.future.done():
            work.job.future.set_exception(error)
