"""What a server counts, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of the latency histogram."""
_PREFIX = "lightning_clf_"


class Counters:
    """Counts that any thread may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._seconds = [0] * (len(SECONDS) + 1)
        self._seconds_sum = 0.0
        self._texts = self._batches = self._tokens = 0
        self._asked = {"answered": 0, "failed": 0}

    def request(self, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        with self._lock:
            self._requests[status] += 1
            self._seconds[bisect_left(SECONDS, seconds)] += 1  # a bound belongs to its bucket
            self._seconds_sum += seconds

    def batch(self, texts: int, tokens: int) -> None:
        """Count a batch that was computed, with its subwords, padding included."""
        with self._lock:
            self._batches += 1
            self._texts += texts
            self._tokens += tokens

    def consulted(self, answered: int, failed: int) -> None:
        """Count texts that a language model was asked about."""
        with self._lock:
            self._asked["answered"] += answered
            self._asked["failed"] += failed

    def exposition(self, depth: int) -> str:
        """All counts as text.

        Args:
            depth: Texts that are taken and not answered.
        """
        with self._lock:
            asked = [(f'{{outcome="{outcome}"}}', count) for outcome, count in self._asked.items()]
            requests = [(f'{{status="{status}"}}', count) for status, count in sorted(self._requests.items())]
            return "".join((
                _metric("requests_total", "counter", "Requests to /predict that were answered, by status.", requests),
                _metric("texts_total", "counter", "Texts that were computed.", [("", self._texts)]),
                _metric("batches_total", "counter", "Batches that were computed.", [("", self._batches)]),
                _metric(
                    "batch_tokens_total", "counter", "Subwords in batches, padding included.", [("", self._tokens)]
                ),
                _metric("queue_depth", "gauge", "Texts that are taken and not answered.", [("", depth)]),
                _metric("language_model_texts_total", "counter", "Texts a language model was asked about.", asked),
                self._histogram(),
            ))  # fmt: skip

    def _histogram(self) -> str:
        lines, below = [], 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self._seconds, strict=True):
            below += count
            lines.append((f'_bucket{{le="{bound}"}}', below))
        more = [("_sum", round(self._seconds_sum, 6)), ("_count", below)]
        return _metric("request_seconds", "histogram", "Seconds a request to /predict took.", [*lines, *more])


def _metric(name: str, kind: str, said: str, samples: list[tuple[str, int]] | list[tuple[str, float]]) -> str:
    full = _PREFIX + name
    lines = [f"# HELP {full} {said}", f"# TYPE {full} {kind}", *(f"{full}{label} {value}" for label, value in samples)]
    return "\n".join(lines) + "\n"
