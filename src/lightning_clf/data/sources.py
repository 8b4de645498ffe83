"""What `data.source` can be, and how it becomes a train, a dev and a test split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from lightning_clf.data.hub import load_hub
from lightning_clf.data.readers import FORMATS, Format, refuse_spreadsheet, suffix_format
from lightning_clf.data.split import DatasetSplit, FileSplit, ListSplit, Split
from lightning_clf.errors import InputError, a_type

Source = dict[str, Any] | str | Path  # jsonargparse writes what it is by the first that fits
Names = Mapping[str, tuple[str, ...]]

SPLIT_NAMES: Names = {"train": ("train",), "val": ("dev", "validation", "valid", "val"), "test": ("test",)}
"""What the three splits are called in folders, mappings and on the hub."""

_FORMATS = ", ".join(FORMATS)
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Corpus:
    """A data set on the hub.

    Attributes:
        hub_id: Its id.
        subset: The configuration to read.
        revision: The branch to read.
    """

    hub_id: str
    subset: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read.

    Attributes:
        subset: On the hub, the data set's configuration.
        revision: On the hub, a branch, tag or commit.
        format: The format of files whose suffix does not tell it, or tells it wrongly.
        splits: What the user says that train, val and test are called in a folder or on the hub.
        names: What they are called there unless the user says so.
        fallback_format: The format of files that a corpus is known to have under names without a telling suffix.
    """

    subset: str | None = None
    revision: str | None = None
    format: Format | None = None
    splits: Mapping[str, str] | None = None
    names: Names = field(default_factory=lambda: SPLIT_NAMES)
    fallback_format: Format | None = None


def resolve(source: Any, options: SourceOptions, corpora: Mapping[str, Corpus] | None = None) -> dict[str, Split]:
    """Find the splits of a source, without reading files.

    Args:
        source: A folder, a hub id, a mapping of splits to files, or in Python to data sets or lists of rows. A data set
            or a list alone is the train split. `None` is the first of the corpora.
        options: How to read it.
        corpora: Data sets that may be given by a short name.

    Returns:
        The splits that there are, under `train`, `val` and `test`, in this order.

    Raises:
        InputError: If the source is not there, holds no split, or holds two files for one.
    """
    corpora = corpora or {}
    if source is None:
        if not corpora:
            raise InputError("data.source is missing: give a folder, a hub id, or a mapping of splits to files")
        source = next(iter(corpora))
    if isinstance(source, Mapping):
        found = _from_mapping(source, options)
    elif isinstance(source, str | Path):
        found = _from_name(source, options, corpora)
    else:
        found = {"train": one_split(source, "train", options)}
    for split in _told(options):
        if split not in found:
            raise InputError(f"data.source {source} has nothing called {_told(options)[split]!r}: correct data.splits")
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _told(options: SourceOptions) -> dict[str, str]:
    return {_split_key(split, "data.splits"): name for split, name in (options.splits or {}).items()}


def _split_key(name: str, key: str) -> str:
    for split, names in SPLIT_NAMES.items():
        if name in (*names, split):
            return split
    raise InputError(f"{key} names a split {name!r}: use train, val (or dev, valid, validation) and test")


def _names(options: SourceOptions) -> dict[str, tuple[str, ...]]:
    return {**options.names, **{split: (name,) for split, name in _told(options).items()}}


def _from_name(source: str | Path, options: SourceOptions, corpora: Mapping[str, Corpus]) -> dict[str, Split]:
    path = Path(source).expanduser()
    if path.is_dir():
        _refuse_hub_keys(source, options)
        return _from_folder(Path(source), options)
    if path.is_file():
        raise InputError(f"data.source {str(source)!r} is a file: say which split, as in source: {{train: {source}}}")
    # a data set on the hub may have such a name too, but hardly one whose owner is a folder here
    if suffix_format(path) is not None and path.parent.is_dir():
        raise InputError(
            f"data.source {str(source)!r} is a file that does not exist: correct the path, and say which split it is, "
            f"as in source: {{train: {source}}}"
        )
    name = str(source)
    known = {corpus.hub_id: corpus for corpus in corpora.values()} | dict(corpora)
    corpus = known.get(name, Corpus(name))
    if not _HUB_ID.fullmatch(corpus.hub_id) or name.startswith((".", "~", "/")):
        raise InputError(f"data.source {name!r} is not a folder that exists: correct the path")
    return _from_hub(
        corpus.hub_id,
        replace(options, subset=options.subset or corpus.subset, revision=options.revision or corpus.revision),
    )


def _from_mapping(source: Mapping[str, Any], options: SourceOptions) -> dict[str, Split]:
    _refuse_hub_keys("a mapping", options)
    if options.splits is not None:
        raise InputError("data.source is a mapping, which already says what the splits are: remove data.splits")
    if not source:
        raise InputError("data.source is an empty mapping: map train, and if there are any val and test, to files")
    splits: dict[str, Split] = {}
    given: dict[str, str] = {}
    for name, value in source.items():
        split = _split_key(name, "data.source")
        if split in given:
            raise InputError(f"data.source names one split twice, as {given[split]!r} and as {name!r}: keep one")
        given[split] = name
        splits[split] = one_split(value, name, options)
    return splits


def one_split(value: Any, name: str, options: SourceOptions, key: str = "data.source") -> Split:
    """The rows of one split, without reading files.

    Args:
        value: A file, a data set, a DataFrame of pandas or a list of rows.
        name: What messages call it.
        options: How to read it.
        key: Which key names it.

    Raises:
        InputError: If it is none of them, or there is no such file.
    """
    if isinstance(value, Dataset):
        return DatasetSplit(value, name)
    if isinstance(value, str | Path):
        if not (path := Path(value).expanduser()).is_file():
            # a checkpoint names files as the fit was given them, which may have been begun in another folder
            at = "" if path.is_absolute() else f" in {Path.cwd()}"
            raise InputError(f"file {value} does not exist{at}: correct {key} ({name})")
        return FileSplit(Path(value), _format(Path(value), options))
    if hasattr(value, "iloc") and hasattr(value, "to_dict"):  # a DataFrame, without importing what makes one
        value = value.to_dict("records")
    if isinstance(value, Sequence):
        return ListSplit(value, name)
    raise InputError(f"{key} gives {a_type(value)} for {name}: give a file, a Dataset, a DataFrame or a list of rows")


def _from_folder(folder: Path, options: SourceOptions) -> dict[str, Split]:
    files = sorted(file for file in folder.expanduser().iterdir() if file.is_file())
    splits: dict[str, Split] = {}
    for split, names in _names(options).items():
        found = [file for file in files if _is_called(file, names, options)]
        if len(found) > 1:
            raise InputError(
                f"folder {folder} holds {found[0].name} and {found[1].name}, and both could be the {split} split: "
                "remove one, or name the files in data.source"
            )
        if found:
            splits[split] = FileSplit(folder / found[0].name, _format(found[0], options))
    if not splits:
        held = ", ".join(file.name for file in files[:5]) or "no file"
        raise InputError(
            f"folder {folder} holds no split ({held}): call the files train, dev and test with a suffix of "
            f"{_FORMATS}, or name them in data.source"
        )
    return splits


def _is_called(file: Path, names: Sequence[str], options: SourceOptions) -> bool:
    if file.name in names:
        return True
    return file.stem in names and (suffix_format(file) is not None or options.format is not None)


def _format(file: Path, options: SourceOptions) -> Format:
    format = options.format or suffix_format(file) or options.fallback_format
    if format is None:
        refuse_spreadsheet(file)
        raise InputError(f"file {file} has no suffix that tells its format: set data.format to one of {_FORMATS}")
    return format


def _refuse_hub_keys(source: Any, options: SourceOptions) -> None:
    for key in ("subset", "revision"):
        if getattr(options, key) is not None:
            raise InputError(f"data.{key} is for data sets on the hub, but data.source is {source}: remove data.{key}")


def _from_hub(hub_id: str, options: SourceOptions) -> dict[str, Split]:
    if options.format is not None:
        raise InputError(f"data.format is for files, but data.source {hub_id!r} is no folder here: remove data.format")
    loaded = load_hub(hub_id, options.subset, options.revision)
    splits: dict[str, Split] = {}
    for split, names in _names(options).items():
        found = [name for name in names if name in loaded]
        if len(found) > 1:
            raise InputError(f"{hub_id} has splits {found[0]} and {found[1]}: say in data.splits which one is {split}")
        if found:
            splits[split] = DatasetSplit(loaded[found[0]], f"{hub_id} {found[0]}")
    if not splits:
        raise InputError(f"{hub_id} has no split called train ({', '.join(loaded)}): name its splits in data.splits")
    return splits


def misnamed(name: str, splits: Mapping[str, Split]) -> str:
    """What to say of a split that is not there, where beside the others is a file that seems to be meant for it."""
    folders = [split.path.parent for split in splits.values() if isinstance(split, FileSplit)]
    for file in sorted(folders[0].iterdir()) if folders else ():
        usual = SPLIT_NAMES[name]
        if file.stem not in usual and file.stem.lower().startswith(usual) and suffix_format(file) is not None:
            return f"; {file} is none: call it {usual[0]}{file.suffix}"
    return ""


def survey_split(splits: Mapping[str, Split]) -> Split:
    """The split that tells which labels there are.

    Raises:
        InputError: If there is no train split.
    """
    if "train" not in splits:
        raise InputError(
            f"data.source has no train split to find the labels in ({', '.join(splits)} only): "
            f"set data.labels, or add train{misnamed('train', splits)}"
        )
    return splits["train"]
