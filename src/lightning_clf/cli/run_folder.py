"""Where a run's files go, so that no run writes over another."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from lightning_clf.errors import InputError


def run_folder(command: str, root: str, checkpoint: str | None) -> Path:
    """Choose and make the run folder.

    A new fit takes `root`, or `root-2`, `root-3` … if that already holds something. Going on from a checkpoint, and
    scoring one, happen in the checkpoint's own folder: that is where its best so far, or its reports, belong.

    Args:
        command: `fit`, `validate` or `test`.
        root: `trainer.default_root_dir`.
        checkpoint: `ckpt_path`, if given.

    Raises:
        InputError: If the folder cannot be made or written.
    """
    if not _is_first():
        return Path(root).absolute()  # the first process chooses, and Lightning tells the others
    folder = Path(checkpoint).absolute().parent if checkpoint else _unused(Path(root).absolute())
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        if command == "fit":
            _keep_metrics(folder)
    except OSError as error:
        raise InputError(
            f"output folder {folder} cannot be written ({error.strerror}): set trainer.default_root_dir to another"
        ) from error
    return folder


def discard_unused(folder: Path) -> None:
    """Take away a run folder in which nothing was trained, so that a second try has the first one's name.

    Args:
        folder: What `run_folder` chose for a run without a checkpoint, and which therefore held nothing before.
    """
    if _is_first() and not any(folder.glob("*.ckpt")):
        shutil.rmtree(folder, ignore_errors=True)


def _is_first() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _unused(root: Path) -> Path:
    names = itertools.chain([root], (root.with_name(f"{root.name}-{number}") for number in itertools.count(2)))
    return next(folder for folder in names if not (folder.is_dir() and any(folder.iterdir())))


def _keep_metrics(folder: Path) -> None:
    """Move an earlier part's `metrics.csv` aside: Lightning's CSV logger deletes what it finds."""
    metrics = folder / "metrics.csv"
    if metrics.is_file():
        parts = (folder / f"metrics.part{number}.csv" for number in itertools.count(1))
        metrics.rename(next(part for part in parts if not part.exists()))
