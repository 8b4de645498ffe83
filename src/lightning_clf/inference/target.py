"""Where a model made of another may be written."""

from __future__ import annotations

from pathlib import Path

from lightning_clf.artefact import SIDECAR
from lightning_clf.errors import InputError


def check_target(model: str, target: str) -> None:
    """Keep a new folder from taking the place of the model it is made of, or of what is no model.

    Raises:
        InputError: If it would.
    """
    source, folder = Path(model), Path(target)
    if folder.exists() and source.is_dir() and folder.samefile(source):
        raise InputError(f"the new model would replace the one it is made of, {model}: give another --output")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {target} is a file: give a folder, which will be made")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SIDECAR).is_file():
        raise InputError(f"folder {target} holds something else than a model: give a new one, which will be made")
