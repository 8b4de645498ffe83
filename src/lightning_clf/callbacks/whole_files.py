"""Checkpoints that are whole or not there."""

from __future__ import annotations

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
        with write_bytes_atomically(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # what torch makes of a disk that is full
                raise OSError(reason(error)) from error
