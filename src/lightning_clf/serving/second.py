"""The texts of a request that a language model is asked about, beside the threads that encode and compute."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lightning_clf.errors import InputError
from lightning_clf.inference.answers import Answer
from lightning_clf.inference.inputs import ReadRow
from lightning_clf.language_models.cascaded import Cascaded, unanswered
from lightning_clf.serving.counters import Counters


class Second:
    """Asks, for so long as a request may wait; what is not replied by then has the classifier's own answer.

    Args:
        cascaded: What asks.
        timeout: Seconds a request waits for all replies together.
        counters: Is told what came of it.
    """

    def __init__(self, cascaded: Cascaded, timeout: float, counters: Counters) -> None:
        self._cascaded, self._timeout, self._counters = cascaded, timeout, counters
        self._threads = ThreadPoolExecutor(cascaded.model.concurrency, thread_name_prefix="asking")

    async def complete(self, read: Sequence[ReadRow], answers: list[Answer]) -> list[Answer]:
        """The answers to rows, with those of the language model in the place of unsure ones."""
        loop = asyncio.get_running_loop()
        tasks = {
            place: loop.run_in_executor(self._threads, self._consult, read[place])
            for place in self._cascaded.unsure(answers)
        }
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._timeout)
        late = unanswered(f"there was no reply within {self._timeout:g} seconds")
        said = {place: task.result() if task.done() else late for place, task in tasks.items()}
        for task in tasks.values():
            task.cancel()  # one that no thread has begun is not asked any more
        failed = sum("language_model_error" in one for one in said.values())
        self._counters.consulted(len(said) - failed, failed)
        return self._cascaded.completed(answers, said)

    def close(self) -> None:
        """Ask nothing more, and wait for nobody."""
        self._cascaded.model.give_up()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _consult(self, row: ReadRow) -> Answer:
        try:
            return self._cascaded.consult(row)
        except InputError as error:
            return unanswered(str(error))
