"""What tells whether a file is the one it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lightning_clf.data.readers import readable


def file_digest(path: Path) -> str:
    """The digest of a file's bytes: reading them takes a small part of the time it takes to answer them.

    Raises:
        InputError: If it cannot be read.
    """
    with readable(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
