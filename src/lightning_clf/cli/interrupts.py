"""Ctrl-C while libraries are imported."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""What a shell makes of a process that Ctrl-C ended."""
SAID = "stopped by Ctrl-C"


@contextmanager
def importing() -> Iterator[None]:
    """End the process at once on Ctrl-C, as nothing is begun that could be left half done.

    An import that fails is often caught, to do without; a `KeyboardInterrupt` is then lost, or leaves a library half
    made, of which the next import complains. In other threads, and where someone handles the signal, nothing changes.
    """
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{SAID}\n".encode())
    os._exit(INTERRUPTED)
