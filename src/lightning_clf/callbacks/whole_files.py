"""Checkpoints that are whole or not there."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from lightning_clf.errors import reason
from lightning_clf.files import write_bytes_atomically


class WholeFileIO(TorchCheckpointIO):
    """Writes a checkpoint beside its final name and renames it.

    Lightning's own way goes through the system's temporary folder; where that is another file system, a process that is
    killed leaves half a file under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint under a name, in whole or not at all.

        Raises:
            OSError: If it cannot be written.
        """
        if "://" in str(path):  # a store of objects, which has no renaming and shows no half of one either
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with _put_off_interrupt(), write_bytes_atomically(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # what torch makes of a disk that is full
                raise OSError(reason(error)) from error


@contextlib.contextmanager
def _put_off_interrupt() -> Iterator[None]:
    """Have Ctrl-C wait until what is written here is whole: torch would make an error of its own of it."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield  # who set it is not known and could not set it again, or no signal comes here
        return
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if seen:
            signal.raise_signal(signal.SIGINT)
