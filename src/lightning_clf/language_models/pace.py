"""When the next request may go out."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lightning_clf.errors import InputError


class Pace:
    """Spaces the requests of all threads evenly, and holds them back together where a server asks for it.

    Args:
        per_minute: How many may go out in a minute; `None` is as many as there are.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        self._interval = 0.0 if per_minute is None else 60.0 / per_minute
        self._next = 0.0
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def wait(self) -> None:
        """Wait for the turn of a request.

        Raises:
            InputError: If it was given up meanwhile.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        self.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Let nothing go out for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            InputError: If it was given up meanwhile.
        """
        if self._given_up.wait(seconds):
            raise InputError("requests were given up, as another failed: go on with --resume")

    def give_up(self) -> None:
        """End all waits, those to come too."""
        self._given_up.set()


def retry_after(header: str | None) -> float:
    """The seconds that a `Retry-After` header asks for, as a number or as a date; 0 where it says nothing."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # a date without a zone cannot be subtracted
        return 0.0
