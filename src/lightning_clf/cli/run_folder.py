"""Where a run's files go, so that no run writes over another."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from lightning_clf.errors import InputError
from lightning_clf.files import counted

_CLAIM = ".running"  # while a run runs: the number of its process, and whether the folder was made for it
_MADE, _FOUND = "made", "found"


def run_folder(root: str, checkpoint: str | None, *, begin_here: bool = False) -> Path:
    """Choose and make the run folder.

    A new fit takes `root`, or `root-2`, `root-3` … if that already holds something. Going on from a checkpoint, and
    scoring one, happen in the checkpoint's own folder: that is where its best so far, or its reports, belong.

    Args:
        root: `trainer.default_root_dir`.
        checkpoint: `ckpt_path`, if given.
        begin_here: Whether a new fit takes `root` whatever it holds, as one that is started again and again does: an
            attempt that died before its first checkpoint has left things there.

    Raises:
        InputError: If the folder cannot be made or written.
    """
    if not _is_first():
        return Path(root).absolute()  # the first process chooses, and Lightning tells the others
    folder = Path(checkpoint or root).absolute()
    try:
        if checkpoint is None and not (begin_here and folder.is_dir() and any(folder.iterdir())):
            return _claim(folder)
        folder = folder if checkpoint is None else folder.parent
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"output folder {folder} cannot be written ({error.strerror}): set trainer.default_root_dir to another"
        ) from error
    return folder


def next_folder(root: str) -> Path:
    """The folder a new fit would take, which is not made.

    Args:
        root: `trainer.default_root_dir`.
    """
    return next(folder for folder in counted(Path(root)) if not folder.is_dir() or not any(folder.iterdir()))


def discard_unused(folder: Path) -> None:
    """Take away a run folder in which nothing was trained, so that a second try has the first one's name.

    Args:
        folder: What `run_folder` chose.
    """
    if not _is_claimed(folder) or any(folder.glob("*.ckpt")):
        return
    is_ours = _claimed(folder)[1:] == [_MADE]
    for path in folder.iterdir():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    if is_ours:
        folder.rmdir()


def release(folder: Path) -> None:
    """End this run's claim on its folder.

    Args:
        folder: What `run_folder` chose.
    """
    if _is_claimed(folder):
        (folder / _CLAIM).unlink()


def _is_claimed(folder: Path) -> bool:
    """Whether this process claimed the folder, rather than another run, or none: a checkpoint brings its folder."""
    return _is_first() and _claimed(folder)[:1] == [str(os.getpid())]


def _claimed(folder: Path) -> list[str]:
    claim = folder / _CLAIM
    return claim.read_text().split() if claim.is_file() else []


def _is_first() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _claim(root: Path) -> Path:
    """The first unused folder, made this run's own in one step: of two runs that start together each gets another."""
    return next(folder for folder in counted(root) if _is_made_ours(folder))


def _is_made_ours(folder: Path) -> bool:
    found = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return False
    try:
        with (folder / _CLAIM).open("x") as claim:
            claim.write(f"{os.getpid()} {_FOUND if found else _MADE}")
    except FileExistsError:
        return False
    return True


def keep_part(file: Path) -> None:
    """Move aside what an earlier part of a run wrote and the next is about to write over."""
    if file.is_file():
        parts = (file.with_name(f"{file.stem}.part{number}{file.suffix}") for number in itertools.count(1))
        file.rename(next(part for part in parts if not part.exists()))
