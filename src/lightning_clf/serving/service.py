"""From the bytes of a request to answers: one thread reads and encodes, another computes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lightning_clf.inference.answers import Answer
from lightning_clf.inference.inputs import Inputs
from lightning_clf.inference.predictor import Predictor
from lightning_clf.inference.together import TaskInputs
from lightning_clf.language_models.cascaded import Cascaded
from lightning_clf.serving.batching import Batcher
from lightning_clf.serving.body import parse_json
from lightning_clf.serving.counters import Counters
from lightning_clf.serving.limits import Limits
from lightning_clf.serving.refusal import RefusedError
from lightning_clf.serving.rows import read_rows
from lightning_clf.serving.second import Second

Encoded = tuple[dict[str, Any], Any]
_RETRY = {"Retry-After": "1"}
_END = 1.0  # seconds for a thread that has nothing to do any more; one that hangs is left behind


class Place:
    """What one request takes of the queue: one place until its texts are counted, then one a text."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.count = 0

    def grow(self, count: int) -> None:
        """Take so many places in all.

        Raises:
            RefusedError: If there are not so many.
        """
        self._queue.take(count - self.count)
        self.count = count


class Queue:
    """The places for texts that are taken and not answered.

    Args:
        size: How many there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.depth = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Take places, or with a negative number give some back.

        Raises:
            RefusedError: If there are not so many.
        """
        with self._lock:
            if self.depth + count > self.size:
                raise RefusedError(503, f"the queue of {self.size} texts is full: try again in a second", _RETRY)
            self.depth += count

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Keep the places of a request while it is answered."""
        place = Place(self)
        place.grow(1)
        try:
            yield place
        finally:
            self.take(-place.count)


class Service:
    """Answers requests with one model.

    Args:
        classifier: What answers.
        limits: How much is taken, and how it is batched.

    Attributes:
        is_draining: Whether the server is about to end.
        is_cut_short: Whether a request was given up, since the end took too long.
    """

    def __init__(self, classifier: Predictor, limits: Limits) -> None:
        self.classifier = classifier
        self.limits = limits
        self.counters = Counters()
        self.queue = Queue(limits.queue)
        self.is_draining = False
        self.is_cut_short = False
        for module in classifier.modules:
            module.eval()  # which those of a module in training are not
        tokens = limits.batch_tokens(classifier.window, on_cpu=classifier.device.type == "cpu")
        self._batcher: Batcher[Encoded] = Batcher(self._compute, tokens, limits.max_wait_ms / 1000)
        # one thread, since a tokenizer is not to be used by two at once
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._second: Second | None = None
        if isinstance(classifier, Cascaded):
            self._second = Second(classifier, limits.reply_timeout, self.counters)

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self._batcher.is_alive and not self.is_draining

    async def predict(self, body: bytes, place: Place) -> list[Answer]:
        """Answer a request.

        Args:
            body: Its body.
            place: Its place in the queue.

        Raises:
            RefusedError: If it cannot be taken.
            Exception: What the model raised, of any class.
        """
        loop = asyncio.get_running_loop()
        read, future = await loop.run_in_executor(self._encoder, self._submit, body, place)
        answers = await asyncio.wrap_future(future)
        return answers if self._second is None else await self._second.complete(read, answers)

    def close(self) -> None:
        """End the threads, once all that was taken is answered."""
        self._encoder.shutdown(cancel_futures=True)
        self._batcher.close(_END)
        if self._second is not None:
            self._second.close()

    def _submit(self, body: bytes, place: Place) -> tuple[list[Any], Future[list[Answer]]]:
        inputs = self.classifier.inputs
        assert isinstance(inputs, Inputs | TaskInputs)
        read = read_rows(parse_json(body), inputs, self.limits)
        place.grow(len(read))
        encoded = inputs.encode(read)
        return read, self._batcher.submit(list(zip(encoded, read, strict=True)), list(map(self._length, encoded)))

    def _length(self, encoded: dict[str, Any]) -> int:
        return len(self.classifier.longest(encoded)["input_ids"])

    def _compute(self, batch: list[Encoded]) -> list[Answer]:
        encoded, read = zip(*batch, strict=True)
        answers = self.classifier.answer_batch(encoded, read)
        self.counters.batch(len(batch), len(batch) * max(map(self._length, encoded)))
        return answers
