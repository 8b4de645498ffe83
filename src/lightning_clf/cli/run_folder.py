"""Where a run's files go, so that no run writes over another."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from lightning_clf.errors import InputError
from lightning_clf.files import counted

_CLAIM = ".running"  # holds the number of the process whose run this is, while it runs


def run_folder(root: str, checkpoint: str | None) -> Path:
    """Choose and make the run folder.

    A new fit takes `root`, or `root-2`, `root-3` … if that already holds something. Going on from a checkpoint, and
    scoring one, happen in the checkpoint's own folder: that is where its best so far, or its reports, belong.

    Args:
        root: `trainer.default_root_dir`.
        checkpoint: `ckpt_path`, if given.

    Raises:
        InputError: If the folder cannot be made or written.
    """
    if not _is_first():
        return Path(root).absolute()  # the first process chooses, and Lightning tells the others
    folder = Path(checkpoint or root).absolute()
    try:
        if checkpoint is None:
            return _claim(folder)
        folder = folder.parent
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"output folder {folder} cannot be written ({error.strerror}): set trainer.default_root_dir to another"
        ) from error
    return folder


def discard_unused(folder: Path) -> None:
    """Take away a run folder in which nothing was trained, so that a second try has the first one's name.

    Args:
        folder: What `run_folder` chose.
    """
    if _is_claimed(folder) and not any(folder.glob("*.ckpt")):
        shutil.rmtree(folder, ignore_errors=True)


def release(folder: Path) -> None:
    """End this run's claim on its folder.

    Args:
        folder: What `run_folder` chose.
    """
    if _is_claimed(folder):
        (folder / _CLAIM).unlink()


def _is_claimed(folder: Path) -> bool:
    """Whether this process claimed the folder, rather than another run, or none: a checkpoint brings its folder."""
    claim = folder / _CLAIM
    return _is_first() and claim.is_file() and claim.read_text() == str(os.getpid())


def _is_first() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _claim(root: Path) -> Path:
    """The first unused folder, made this run's own in one step: of two runs that start together each gets another."""
    return next(folder for folder in counted(root) if _is_made_ours(folder))


def _is_made_ours(folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return False
    try:
        with (folder / _CLAIM).open("x") as claim:
            claim.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def keep_part(file: Path) -> None:
    """Move aside what an earlier part of a run wrote and the next is about to write over."""
    if file.is_file():
        parts = (file.with_name(f"{file.stem}.part{number}{file.suffix}") for number in itertools.count(1))
        file.rename(next(part for part in parts if not part.exists()))
