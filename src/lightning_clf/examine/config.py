"""A guess as a configuration: tried with the class that is to read the data, then written with comments."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lightning_clf import data
from lightning_clf.data import BaseDataModule
from lightning_clf.data.readers import FORMATS, refuse_spreadsheet, suffix_format
from lightning_clf.data.sources import SourceOptions, resolve
from lightning_clf.errors import InputError, printable
from lightning_clf.examine.guess import Guess, guess
from lightning_clf.examine.labels import doubtful

_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")
_KEPT = ("batch_size", "max_length")  # keys of a shipped configuration's data that are good for others
_HELD_OUT = "without dev, a tenth of train is held out (val_fraction)"


def guess_source(path: Path) -> tuple[Guess, BaseDataModule[Any], Any]:
    """What a file or a folder is for, tried with the datamodule that is to read it.

    Args:
        path: A file, which is taken for train, or a folder of splits.

    Returns:
        The guess, the datamodule, set up, and the source as a configuration names it.

    Raises:
        InputError: If nothing is there, it cannot be read, or is of no task.
    """
    source = _source(path)
    found = guess(resolve(source, SourceOptions()))
    with tempfile.TemporaryDirectory() as folder:
        reads: type[BaseDataModule[Any]] = getattr(data, found.datamodule)
        datamodule = reads(source, **found.keys, max_length=16, cache_dir=folder)
        datamodule.tokenizer = _stand_in()
        datamodule.prepare_data()
        datamodule.setup("fit")
    found.doubts += [f"{doubt}: {remedy}" for doubt, remedy in doubtful(datamodule.labels)]
    return found, datamodule, source


def _source(path: Path) -> str | dict[str, str]:
    if path.expanduser().is_dir():
        if (path.expanduser() / "eng.train").is_file():
            raise InputError(
                f"folder {path} holds CoNLL-2003 in its own files, for which there is a configuration: "
                f"lightning-clf fit --config ner.yaml --data.source {path}"
            )
        return str(path)
    if not path.expanduser().is_file():
        raise InputError(f"{path} does not exist: give a file of {', '.join(FORMATS)}, or a folder with such files")
    if suffix_format(path) is None:
        refuse_spreadsheet(path)
        formats = ", ".join(FORMATS)
        raise InputError(f"file {path} has no suffix of a format that is read ({formats}): rename it, or convert it")
    return {"train": str(path)}


def _stand_in() -> PreTrainedTokenizerFast:
    """A tokenizer for trying rows, since an encoder's may not be at hand: every word is unknown."""
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")


def configuration(name: str, found: Guess, datamodule: BaseDataModule[Any], source: Any, shipped: str) -> str:
    """The text of a configuration.

    Args:
        name: What the file will be called.
        found: The guess.
        datamodule: What has read the data.
        source: What `data.source` is.
        shipped: The text of the shipped configuration whose model and trainer are taken.
    """
    model, rest = shipped.partition("\nmodel:")[2].split("\ndata:")
    own_data, trainer = rest.split("\ntrainer:")
    held_out = "" if "val" in datamodule.splits else f"  # {_HELD_OUT}"
    keys = [
        f"    source: {_value(source)}{held_out}",
        *(f"    {key}: {_value(value)}" for key, value in found.keys.items()),
    ]
    kept = [line for line in own_data.splitlines() if line.strip().startswith(_KEPT)]
    run = Path(source).resolve().name if isinstance(source, str) else Path(source["train"]).stem
    folder = f"default_root_dir: {_value(f'runs/{run}')}  # a second run goes to {printable(f'runs/{run}-2')}"
    trainer = re.sub(r"default_root_dir: runs/.*", lambda _: folder, trainer)
    lines = [
        f"# lightning-clf fit --config {printable(name)}",
        f"# {found.task[0].upper()}{found.task[1:]}: {printable(found.reason)}.",
        *(f"# Doubtful: {printable(doubt)}." for doubt in found.doubts),
        f"model:{model}",
        "data:",
        f"  class_path: {found.datamodule}",
        "  init_args:",
        *keys,
        f"    # labels: {printable(datamodule.labels.shown)}",
        *kept,
        f"trainer:{trainer}",
    ]
    return "\n".join(lines)


def _value(value: Any) -> str:
    """A value as YAML has it, on one line; texts that YAML could take for something else in quotes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf)
    return quoted.strip()
