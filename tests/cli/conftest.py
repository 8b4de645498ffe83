"""The command run in process, on tiny files with a tiny encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch  # noqa: F401 (its log goes to where standard error is when it is imported: not to one test's)
import pytest

from lightning_clf.cli import main

TEXTS = ("a great film", "a dull story", "so happy", "so sad", "a joy to see", "a lifeless end", "grateful", "angry")
SINGLE = [{"text": text, "label": ("good", "bad")[index % 2]} for index, text in enumerate(TEXTS)]
MULTI = [{"text": text, "labels": [("joy",), ("joy", "fear"), ()][index % 3]} for index, text in enumerate(TEXTS)]
TAGS = [{"tokens": ["Anna", "went", "to", city], "tags": ["B-PER", "O", "O", "B-LOC"]} for city in ("Paris", "Oslo")]
CLASSES = {
    "single": ("SingleLabelClassifier", "SequenceDataModule"),
    "multi": ("MultiLabelClassifier", "MultiLabelDataModule"),
    "tags": ("TokenClassifier", "TokenDataModule"),
    "score": ("SimilarityRegressor", "SequenceDataModule"),
}
SMALL = {
    "data.max_length": 32,
    "data.batch_size": 4,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "trainer.log_every_n_steps": 1,
}


class Result(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command with these words."""

    def run(*words: Any) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def complaint(command: Callable[..., Result]) -> Callable[..., str]:
    """Run the command with these words, which it must refuse in one line; the line."""

    def run(*words: Any) -> str:
        code, out, err = command(*words)
        said = [line for line in err.splitlines() if line.startswith("error: ")]
        assert code == 2
        assert len(said) == 1, err
        assert err.endswith(said[0] + "\n")
        assert "usage:" not in out + err
        assert "Traceback" not in err
        return said[0].removeprefix("error: ")

    return run


def says(message: str, *parts: str) -> None:
    """Hold a message against what it must say, in this order: what is wrong, where, and what to do."""
    position = 0
    for part in parts:
        assert part in message[position:], f"{part!r} is not in {message[position:]!r}"
        position = message.index(part, position) + len(part)


@pytest.fixture
def fit_words(tmp_path: Path, encoders: Callable[[str], Path]) -> Callable[..., list[str]]:
    """The words that fit a kind of task on a folder, to `run` in the test's own folder."""

    def words(kind: str, source: Any, **options: Any) -> list[str]:
        model, data = CLASSES[kind]
        fixed = {"model.encoder": encoders("bert"), "data.source": source, "trainer.default_root_dir": tmp_path / "run"}
        given = {**SMALL, **fixed, **{name.replace("__", "."): value for name, value in options.items()}}
        return ["fit", "--model", model, "--data", data, *(f"--{name}={value}" for name, value in given.items())]

    return words


def write_rows(folder: Path, rows: Iterable[Mapping[str, Any]] | Mapping[str, Iterable[Mapping[str, Any]]]) -> Path:
    """A folder of JSON lines: the same rows in every split, or those of each."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = rows if isinstance(rows, Mapping) else {split: list(rows) for split in ("train", "dev", "test")}
    for split, its_rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in its_rows))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, encoders: Callable[[str], Path]) -> Callable[[str], Path]:
    """The folder of a finished run of a kind, `run`, beside its `data`; fitted once from an encoder since deleted."""
    root = tmp_path_factory.mktemp("trained")
    rows = {"single": SINGLE, "tags": TAGS}

    def run(kind: str) -> Path:
        folder = root / kind
        if not folder.is_dir():
            source = write_rows(folder / "data", rows[kind])
            encoder = shutil.copytree(encoders("bert"), folder / "encoder")
            model, data = CLASSES[kind]
            options = {
                **SMALL,
                "model.encoder": encoder,
                "model.learning_rate": 1e-3,
                "data.source": source,
                "trainer.default_root_dir": folder / "run",
            }
            words = ["fit", "--model", model, "--data", data, *(f"--{name}={value}" for name, value in options.items())]
            assert main(words) == 0
            shutil.rmtree(encoder)
        return folder / "run"

    return run


@pytest.fixture
def run_copy(trained: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a finished run that a test may write to."""
    return lambda kind: shutil.copytree(trained(kind), tmp_path / f"{kind}_run")
