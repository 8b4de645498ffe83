"""Where a model made of another may be written."""

from __future__ import annotations

import os
from pathlib import Path

from lightning_clf.artefact import SIDECAR
from lightning_clf.errors import InputError


def check_target(model: str, target: str) -> None:
    """Keep a new folder from taking the place of the model it is made of, or of what is no model.

    Raises:
        InputError: If it would, or its name is none that a folder can take.
    """
    source, folder = Path(model), Path(target)
    if folder.name in ("", ".."):
        raise InputError(f"output {target} names no new folder: give it a name of its own, such as new-model")
    if folder.exists() and source.is_dir() and folder.samefile(source):
        raise InputError(f"the new model would replace the one it is made of, {model}: give another --output")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {target} is a file: give a folder, which will be made")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SIDECAR).is_file():
        raise InputError(f"folder {target} holds something else than a model: give a new one, which will be made")
    if Path(os.path.realpath(source)).is_relative_to(os.path.realpath(folder)):
        raise InputError(
            f"the new model would replace folder {target}, which holds the one it is made of, {model}, and what lies "
            "beside that: give another --output"
        )


def check_beside(file: str | Path, option: str, target: str) -> None:
    """Keep a file out of a folder that is replaced as a whole, which would take it along.

    Args:
        file: The file.
        option: What names it.
        target: The folder.

    Raises:
        InputError: If it is the folder, or lies in it.
    """
    if Path(os.path.realpath(file)).is_relative_to(os.path.realpath(target)):
        raise InputError(f"{option} {file} would be lost, as {target} is replaced at the end: name a file beside it")
