"""Encoded splits on disk: written once, by one process, and memory-mapped by every other.

A folder of the cache is named after a digest of all that decides its content. It is written beside its place and
renamed into it when complete, so that what an interrupted run leaves behind is never read.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from datasets import Dataset
from tqdm.auto import tqdm

from lightning_clf.data.encoded import Encoding, Summary, encode_split
from lightning_clf.data.split import Split
from lightning_clf.errors import InputError

T = TypeVar("T")
CACHE_VARIABLE = "LIGHTNING_CLF_CACHE"
"""The environment variable that moves the cache."""

_ROWS, _SUMMARY = "rows.arrow", "summary.json"


def default_cache_dir() -> Path:
    """Where encoded splits go unless told otherwise."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/lightning_clf").expanduser()


def load(split: Split, encoding: Encoding, cache_dir: Path) -> tuple[Dataset, Summary] | None:
    """A split's encoded rows, memory-mapped; `None` if they have not been prepared."""
    return _open(cache_dir / encoding.key(split))


def prepare(split: Split, encoding: Encoding, cache_dir: Path) -> tuple[Dataset, Summary]:
    """A split's encoded rows, memory-mapped; they are checked and encoded first unless that has been done.

    Raises:
        InputError: If a row cannot be used, or the cache cannot be written.
    """
    return made_once(cache_dir / encoding.key(split), _open, lambda draft: _write(split, encoding, draft))


def made_once(folder: Path, open_whole: Callable[[Path], T | None], write: Callable[[Path], None]) -> T:
    """What a folder of the cache holds; it is written first unless that has been done.

    Args:
        folder: The folder, whose name says all that decides its content.
        open_whole: Opens it; `None` if it is not there, or not whole.
        write: Writes its files to a draft of it.

    Raises:
        InputError: If it cannot be written, or what is to be written cannot be had.
    """
    opened = open_whole(folder)
    if opened is not None:
        return opened
    draft = folder.parent / f".draft-{uuid.uuid4().hex}"
    try:
        draft.mkdir(parents=True)
        write(draft)
        return _put_in_place(draft, folder, open_whole)
    except OSError as error:
        raise InputError(
            f"the cache folder {folder.parent} cannot be written ({error.strerror or error}): set data.cache_dir or "
            f"{CACHE_VARIABLE} to a folder with room"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open(folder: Path) -> tuple[Dataset, Summary] | None:
    rows = folder / _ROWS
    try:
        summary = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
        # a machine that lost power may have renamed a folder whose files it had not written out
        whole = rows.stat().st_size == summary.pop("bytes")
    except (OSError, ValueError):
        return None
    return (Dataset.from_file(str(rows)), Summary(**summary)) if whole else None


def _write(split: Split, encoding: Encoding, folder: Path) -> None:
    summary = Summary()
    writer: pa.RecordBatchStreamWriter | None = None
    with (
        (folder / _ROWS).open("wb") as file,
        tqdm(desc=f"tokenising {split.name}", unit=" rows", disable=None, leave=False) as bar,
    ):
        for table in encode_split(split, encoding, summary):
            writer = writer or pa.ipc.new_stream(file, table.schema)
            writer.write_table(table)
            bar.update(len(table))
        if writer is not None:
            writer.close()
    facts = asdict(summary) | {"bytes": (folder / _ROWS).stat().st_size}
    (folder / _SUMMARY).write_text(json.dumps(facts), encoding="utf-8")


def _put_in_place(draft: Path, folder: Path, open_whole: Callable[[Path], T | None]) -> T:
    try:
        draft.rename(folder)
    except OSError:
        # either another process was faster, or what stands here is damaged
        if open_whole(folder) is None:
            shutil.rmtree(folder)
            draft.rename(folder)
    opened = open_whole(folder)
    if opened is None:
        raise OSError(f"{folder.name} was damaged while it was written")
    return opened
