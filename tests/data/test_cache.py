"""Rows are encoded once, by whoever comes first, and never from what an interrupted run left behind."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from lightning_clf.data import SequenceDataModule, cache, encoded
from lightning_clf.data.encoded import fingerprint

from .conftest import complaint, make_tokenizer, texts, write

ROWS = texts(6)


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call tokenised."""
    calls: list[int] = []
    original = encoded._encode_batch

    def spy(batch: list[Any], *args: Any) -> Any:
        calls.append(len(batch))
        return original(batch, *args)

    monkeypatch.setattr(encoded, "_encode_batch", spy)
    return calls


def ready(source: Any, extra: tuple[str, ...] = (), **options: Any) -> SequenceDataModule:
    datamodule = SequenceDataModule(source, **options)
    datamodule.tokenizer = make_tokenizer(extra)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def test_a_second_run_tokenises_nothing(tmp_path: Path, tokenised: list[int]) -> None:
    write(tmp_path, train__jsonl=ROWS, dev__jsonl=ROWS[:2])
    first = ready(tmp_path)
    assert tokenised == [6, 2]
    second = ready(tmp_path)
    assert tokenised == [6, 2]
    assert first._rows_of("train")[:] == second._rows_of("train")[:]


def test_rows_are_memory_mapped(tmp_path: Path, cache_dir: Path) -> None:
    files = ready(ROWS)._prepared._rows["train"].cache_files  # type: ignore[union-attr]
    assert [Path(file["filename"]).parent.parent for file in files] == [cache_dir]


@pytest.mark.parametrize(
    ("options", "again"),
    [
        ({}, False),
        ({"batch_size": 2}, False),
        ({"seed": 1}, False),
        ({"max_length": 5}, True),
        ({"labels": ["good", "bad"]}, True),
        ({"text_pair_column": "other"}, True),
        ({"extra": ("word",)}, True),
        ({"drop_duplicates": True}, True),
    ],
)
def test_what_makes_it_stale(options: dict[str, Any], again: bool, tokenised: list[int]) -> None:
    rows = [{**row, "other": "a second text"} for row in ROWS]
    ready(rows)
    ready(rows, **options)
    assert len(tokenised) == 1 + again


def test_content_makes_it_stale(tmp_path: Path, tokenised: list[int]) -> None:
    ready(write(tmp_path / "a", train__jsonl=ROWS))
    ready(write(tmp_path / "b", train__jsonl=ROWS))
    assert tokenised == [6]
    ready(write(tmp_path / "b", train__jsonl=texts(7)))
    assert tokenised == [6, 7]


def test_what_a_tokenizer_did_before_does_not_matter() -> None:
    tokenizer = make_tokenizer()
    before = fingerprint(tokenizer)
    tokenizer(["a b c", "d"], truncation=True, max_length=4, padding=True)
    assert fingerprint(tokenizer) == before
    assert fingerprint(make_tokenizer(["word"])) != before


def test_faulty_rows_leave_nothing_behind(cache_dir: Path) -> None:
    bad = [*ROWS, {"text": "a", "label": "ugly"}]
    assert "'ugly'" in complaint(lambda: ready({"train": ROWS, "dev": bad}))
    assert [folder.name for folder in cache_dir.iterdir() if folder.name.startswith(".draft")] == []
    assert len(list(cache_dir.iterdir())) == 1  # train


def test_a_torn_draft_is_not_read(cache_dir: Path, tokenised: list[int]) -> None:
    draft = cache_dir / ".draft-0"
    draft.mkdir(parents=True)
    (draft / "rows.arrow").write_bytes(b"half")
    ready(ROWS)
    ready(ROWS)
    assert tokenised == [6]


@pytest.mark.parametrize("damage", ["cut", "no summary", "garbled summary", "empty"])
def test_a_damaged_entry_is_made_again(cache_dir: Path, tokenised: list[int], damage: str) -> None:
    first = ready(ROWS)._rows_of("train")[:]
    folder = next(cache_dir.iterdir())
    if damage == "cut":
        (folder / "rows.arrow").write_bytes((folder / "rows.arrow").read_bytes()[:100])
    elif damage == "garbled summary":
        (folder / "summary.json").write_text("{")
    else:
        (folder / "summary.json").unlink()
        if damage == "empty":
            (folder / "rows.arrow").unlink()
    assert ready(ROWS)._rows_of("train")[:] == first
    assert tokenised == [6, 6]


def test_two_at_once(cache_dir: Path, monkeypatch: pytest.MonkeyPatch, tokenised: list[int]) -> None:
    """While one process writes, another may finish: the first one's work is kept, and both go on."""
    original = cache._write
    nested: list[SequenceDataModule] = []

    def slow(*args: Any) -> None:
        original(*args)
        if not nested:
            nested.append(SequenceDataModule(ROWS))
            nested[0].tokenizer = make_tokenizer()
            nested[0].prepare_data()

    monkeypatch.setattr(cache, "_write", slow)
    assert ready(ROWS).num_train == 5
    assert tokenised == [6, 6]
    assert len(list(cache_dir.iterdir())) == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = complaint(lambda: ready(ROWS, cache_dir=tmp_path / "file" / "cache"))
    assert "cannot be written (Not a directory): set data.cache_dir or LIGHTNING_CLF_CACHE to a folder" in message


def test_setup_alone(tmp_path: Path) -> None:
    datamodule = SequenceDataModule(ROWS)
    assert "the datamodule has no tokenizer" in complaint(datamodule.setup)
    datamodule.tokenizer = make_tokenizer()
    with pytest.raises(RuntimeError, match="call prepare_data before setup"):
        datamodule.setup()
    with pytest.raises(RuntimeError, match="call prepare_data and setup first"):
        datamodule.train_dataloader()


def test_more_rows_than_a_batch(tokenised: list[int]) -> None:
    datamodule = ready(Dataset.from_list(texts(2500)))
    assert tokenised == [1000, 1000, 500]
    kept = datamodule._rows_of("train")["example_id"]
    held = datamodule._rows_of("val")["example_id"]
    assert sorted([*kept, *held]) == list(range(2500))
