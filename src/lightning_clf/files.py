"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from lightning_clf.errors import InputError, reason


def counted(path: Path) -> Iterator[Path]:
    """Names like this one, without an end: itself, then with `-2`, `-3` … behind it."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.name}-{number}")


@contextlib.contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders that something is to lie in; after an error those are gone again that hold nothing."""
    missing = [folder for folder in path.parents if not os.path.exists(folder)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # it was not made either, or something lies there by now
                folder.rmdir()
        raise


def _beside(path: Path) -> Path:
    """The name of what is being written until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.writing")


def _old(folder: Path) -> Path:
    """The name of what a folder stands in for, while it is replaced."""
    return folder.with_name(f".{folder.name}.old")


def _remove_dead(path: Path) -> None:
    """Remove what processes that were killed were writing under this name."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.writing"):
        process = draft.name.split(".")[-2]
        if not process.isdecimal() or _is_alive(int(process)):
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                draft.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name beside the final one, which takes its place at the end, or is gone; a pipe's or a device's own."""
    if is_stream(path):
        yield path
        return
    temporary = _beside(path)
    with made_parents(path):
        _remove_dead(path)
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


@contextlib.contextmanager
def write_bytes_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for bytes that appears under its name only once it is complete, and on the disk.

    Args:
        path: The final name. What stood there before stands until the new file is whole, even if the process is killed
            or the machine stops: both are on one file system, and the bytes are there before the name is. A pipe or a
            device is written to as it is, since a finished file would take its place.
    """
    with _replacing(path) as target, target.open("wb") as file:
        yield file
        file.flush()
        if target != path:
            os.fsync(file.fileno())


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file that appears under its name only once it is complete.

    Args:
        path: The final name. What stood there before stands until the new file is whole. A pipe or a device is written
            to as it is.

    Raises:
        InputError: If the file cannot be written or the disk is full.
    """
    with writable(path), _replacing(path) as target, target.open("w", encoding="utf-8", newline="") as file:
        yield file


def is_stream(path: Path) -> bool:
    """Whether what has this name is written to as it is, as pipes and devices are."""
    return os.path.exists(path) and not os.path.isfile(path)


def check_apart(option: str, path: str | Path, others: Iterable[str | Path | None]) -> None:
    """Keep a file that is written from being one of others, by whatever name.

    Args:
        option: What names it.
        path: The file.
        others: What is read, or written too; `None` is no file, and `-` is a standard stream.

    Raises:
        InputError: If it is one of them.
    """
    taken = {os.path.realpath(other) for other in others if other is not None and str(other) != "-"}
    if os.path.realpath(path) in taken:
        raise InputError(f"{option} would write {path}, which is read or written too: name another file")


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what an operating system says of a file that is written into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error


@contextlib.contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name once it is complete, in place of what stood there.

    Args:
        folder: The final name. Of a link to a folder it is that folder which is replaced.

    Raises:
        InputError: If it cannot be written, or the disk is full. What stood there before still stands, as it does
            after any other error. Where the process is killed as it replaces that, it stands beside, and `check_model`
            says so.
    """
    final = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    temporary = _beside(final)
    try:
        with made_parents(final):
            _remove_dead(final)
            try:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir()
                yield temporary
                allowed = 0o666 & ~_umask()
                for path in temporary.rglob("*"):
                    if path.is_file():
                        path.chmod(allowed)  # safetensors writes files that nobody else may read
                    _sync(path)
                replace_folder(temporary, final)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"export folder {folder} cannot be written ({reason(error)}): free space, or choose another"
        ) from error


def _umask() -> int:
    """What new files keep from others; the system tells it only to who sets it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def replace_folder(new: Path, final: Path) -> None:
    """Move a finished folder to its final name; a folder cannot be replaced in one call, so the old steps aside.

    Where there is an old one and no final one, as a process was killed in between, the old is kept until the new is
    there.
    """
    old = _old(final)
    _sync(new)
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
    try:
        new.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Wait until the disk has what is in a file, or which names are in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of a file system that does not do so for folders
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_alone(holder: int, target: Path) -> Iterator[None]:
    """Refuse a second process. The system lets go of the lock when the process ends, however it does.

    Args:
        holder: The descriptor of an open file or folder, which is closed by whoever opened it.
        target: What is being written.

    Raises:
        InputError: If another process holds it.
    """
    import fcntl

    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"another process is writing {target}: wait for it, or write another file") from error
    try:
        yield
    finally:
        fcntl.flock(holder, fcntl.LOCK_UN)


def check_model(path: str | Path) -> None:
    """Hold a path against what a trained model is.

    Raises:
        InputError: If there is neither a file nor a folder of this name. Where a process was killed as it replaced the
            folder, it says what holds the model.
    """
    if Path(path).exists():
        return
    final = Path(os.path.realpath(path))  # where a link leads
    for folder in (final, *final.parents):
        if not folder.exists() and _old(folder).is_dir():
            raise InputError(
                f"model {path} does not exist, as a process was killed that was replacing it, and {_old(folder)} holds "
                f"what it was: rename that to {folder}"
            )
    raise InputError(f"model {path} does not exist: give a .ckpt file that `fit` wrote, or a folder such as RUN/best")


def check_checkpoint_file(path: str | Path) -> None:
    """Hold a path against what a checkpoint is.

    Raises:
        InputError: If there is no file of this name.
    """
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "does not exist"
        raise InputError(f"checkpoint {path} {what}: give a .ckpt file that `fit` wrote, such as RUN/best.ckpt")
