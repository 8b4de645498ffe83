"""What a source can be, and what is said when it is not there."""

import os
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets.exceptions import DatasetNotFoundError

from lightning_clf.data.sources import SPLIT_NAMES, Corpus, SourceOptions, resolve

from .conftest import complaint, texts, write

ROWS = texts(4)


def names(source: Any, **options: Any) -> dict[str, str]:
    return {key: Path(split.name).name for key, split in resolve(source, SourceOptions(**options)).items()}


@pytest.mark.parametrize("dev", ["dev", "validation", "valid", "val"])
def test_folder(tmp_path: Path, dev: str) -> None:
    write(tmp_path, train__jsonl=ROWS, **{f"{dev}__csv": "text,label\na,b\n"}, test__conll="a O\n", notes__txt="x")
    assert names(str(tmp_path)) == {"train": "train.jsonl", "val": f"{dev}.csv", "test": "test.conll"}


def test_splits_come_in_order(tmp_path: Path) -> None:
    write(tmp_path, train__jsonl=ROWS, dev__jsonl=ROWS)
    source = {"valid": str(tmp_path / "dev.jsonl"), "train": tmp_path / "train.jsonl"}
    assert list(resolve(source, SourceOptions())) == ["train", "val"]


def test_format_is_forced_where_the_suffix_says_nothing_or_lies(tmp_path: Path) -> None:
    write(tmp_path, train__txt="a O\n", test__tsv="a O\n")
    splits = resolve(str(tmp_path), SourceOptions(format="conll"))
    assert [split.format for split in splits.values()] == ["conll", "conll"]
    assert next(splits["test"].rows())[1]["tokens"] == ["a"]


def test_names_of_splits_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path, all__jsonl=ROWS, test__jsonl=ROWS)
    assert names(str(tmp_path), splits={"train": "all"}) == {"train": "all.jsonl", "test": "test.jsonl"}
    assert names(str(tmp_path), splits={"train": "all.jsonl"}) == {"train": "all.jsonl", "test": "test.jsonl"}
    assert "has nothing called 'alle': correct data.splits" in complaint(
        lambda: names(tmp_path, splits={"train": "alle"})
    )
    assert "data.splits names a split 'all'" in complaint(lambda: names(tmp_path, splits={"all": "train"}))


def test_fallback_format_is_for_names_without_a_suffix(tmp_path: Path) -> None:
    write(tmp_path, **{"eng__train": "a O\n"})
    options = {"names": {**SPLIT_NAMES, "train": ("train", "eng.train")}}
    assert resolve(tmp_path, SourceOptions(**options, fallback_format="conll"))["train"].format == "conll"
    assert "eng.train has no suffix that tells its format: set data.format to one of jsonl, csv" in complaint(
        lambda: resolve(tmp_path, SourceOptions(**options))
    )


def test_python_sources() -> None:
    dataset = Dataset.from_list(ROWS)
    frame = pd.DataFrame(ROWS)
    sources = (ROWS, dataset, {"train": ROWS}, {"train": dataset}, DatasetDict(train=dataset), frame, {"train": frame})
    for source in sources:
        split = resolve(source, SourceOptions())["train"]
        assert [row for _, row in split.rows()] == ROWS
        assert split.where(3) == "train[3]"
        assert split.fingerprint() == resolve(source, SourceOptions())["train"].fingerprint()


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    def fingerprint(source: Any) -> str:
        return resolve(source, SourceOptions())["train"].fingerprint()

    write(tmp_path / "a", train__jsonl=ROWS)
    write(tmp_path / "b", train__jsonl=ROWS)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    write(tmp_path / "b", train__jsonl=texts(5))
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
    assert fingerprint(ROWS) != fingerprint(texts(5))
    assert fingerprint(Dataset.from_list(ROWS)) != fingerprint(Dataset.from_list(texts(5)))


def test_fingerprint_of_a_file_that_was_written_to_between_two_fits(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n')
    split = resolve(tmp_path, SourceOptions())["train"]
    before = split.fingerprint()
    assert split.fingerprint() == before
    path.write_text('{"text": "b", "label": "x"}\n')
    os.utime(path, (1, 1))  # a clock may be too coarse to tell
    assert split.fingerprint() != before


def test_numpy_values_in_lists_of_rows() -> None:
    import numpy as np

    split = resolve([{"tokens": np.array(["a", "b"]), "label": np.int64(1)}], SourceOptions())["train"]
    assert next(split.rows()) == (0, {"tokens": ["a", "b"], "label": 1})
    assert type(next(split.rows())[1]["label"]) is int


def test_faults(tmp_path: Path) -> None:
    both = write(tmp_path / "both", train__jsonl=ROWS, dev__jsonl=ROWS, validation__csv="text,label\na,b\n")
    none = write(tmp_path / "none", a__jsonl=ROWS, train__txt="x")
    file = both / "train.jsonl"
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (None, {}, "data.source is missing"),
        (both, {}, "holds dev.jsonl and validation.csv, and both could be the val split: remove one"),
        (none, {}, "holds no split (a.jsonl, train.txt): call the files train, dev and test"),
        (both, {"subset": "x"}, "data.subset is for data sets on the hub"),
        (both, {"revision": "x"}, "data.revision is for data sets on the hub"),
        (str(tmp_path / "gone"), {}, "is not a folder that exists: correct the path"),
        ("./gone", {}, "'./gone' is not a folder that exists: correct the path"),
        ("a/b/c", {}, "'a/b/c' is not a folder that exists: correct the path"),
        (str(tmp_path / "gone.csv"), {}, "gone.csv' is a file that does not exist: correct the path"),
        ("gone.csv", {}, "'gone.csv' is a file that does not exist: correct the path, and say which split it is"),
        (file, {}, "is a file: say which split, as in source: {train: "),
        ({}, {}, "data.source is an empty mapping"),
        ({"train": str(tmp_path / "gone.csv")}, {}, "gone.csv does not exist: correct data.source (train)"),
        ({"train": "gone.csv"}, {}, f"file gone.csv does not exist in {Path.cwd()}: correct data.source (train)"),
        ({"train": none / "train.txt"}, {}, "train.txt has no suffix that tells its format: set data.format"),
        ({"training": file}, {}, "data.source names a split 'training': use train, val"),
        ({"dev": file, "val": file}, {}, "data.source names one split twice, as 'dev' and as 'val': keep one"),
        ({"train": file}, {"splits": {"train": "x"}}, "which already says what the splits are: remove data.splits"),
        ({"train": 3}, {}, "data.source gives an int for train"),
        ({"train": []}, {}, "the list of rows for train is empty"),
        ({"train": [{"a": 1}, "b"]}, {}, "train[1] is a str: give rows as dictionaries"),
    ]
    for source, options, message in cases:
        assert message in complaint(lambda s=source, o=options: resolve(s, SourceOptions(**o)))


class TestHub:
    """Through the real loader of `datasets`, pointed at local files."""

    FEATURES = Features({"sentence": Value("string"), "label": ClassLabel(names=["negative", "positive"])})

    @pytest.fixture
    def hub(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "hub"
        folder.mkdir()
        for split, labels in (("train", [0, 1, 1]), ("validation", [1, 0, 1]), ("test", [-1, -1, -1])):
            data = Dataset.from_dict({"sentence": ["a", "b", "c"], "label": labels}, features=self.FEATURES)
            data.to_parquet(folder / f"{split}.parquet")
        original = datasets.load_dataset
        self.calls: list[tuple[Any, ...]] = []

        def load(hub_id: str, subset: str | None = None, revision: str | None = None) -> Any:
            self.calls.append((hub_id, subset, revision))
            return original(str(folder), cache_dir=str(tmp_path / "hub_cache"))

        monkeypatch.setattr(datasets, "load_dataset", load)
        return folder

    def test_class_numbers_become_names(self, hub: Path) -> None:
        splits = resolve("owner/name", SourceOptions(subset="s", revision="r"))
        assert self.calls == [("owner/name", "s", "r")]
        assert list(splits) == ["train", "val", "test"]
        assert [row["label"] for _, row in splits["train"].rows()] == ["negative", "positive", "positive"]
        assert [row["label"] for _, row in splits["test"].rows()] == [-1, -1, -1]
        assert splits["val"].class_names("label") == ["negative", "positive"]
        assert splits["val"].where(2) == "owner/name validation[2]"

    def test_short_names_and_the_default(self, hub: Path) -> None:
        corpora = {"one": Corpus("owner/one", "s", "r"), "two": Corpus("owner/two")}
        resolve(None, SourceOptions(), corpora)
        resolve("owner/one", SourceOptions(revision="mine"), corpora)
        resolve("two", SourceOptions(), corpora)
        assert self.calls == [("owner/one", "s", "r"), ("owner/one", "s", "mine"), ("owner/two", None, None)]

    def test_a_name_may_end_as_a_file_s(self, hub: Path) -> None:
        resolve("owner/name.csv", SourceOptions())
        assert self.calls == [("owner/name.csv", None, None)]

    def test_split_names(self, hub: Path) -> None:
        swapped = resolve("a/b", SourceOptions(splits={"val": "test", "test": "validation"}))
        assert [split.name for split in swapped.values()] == ["a/b train", "a/b test", "a/b validation"]
        message = complaint(lambda: resolve("a/b", SourceOptions(splits={"val": "dev"})))
        assert message == "data.source a/b has nothing called 'dev': correct data.splits"
        message = complaint(lambda: resolve("a/b", SourceOptions(names={"train": ("unsupervised",)})))
        assert "a/b has no split called train (train, validation, test): name its splits in data.splits" in message
        message = complaint(lambda: resolve("a/b", SourceOptions(names={"val": ("validation", "test")})))
        assert message == "a/b has splits validation and test: say in data.splits which one is val"
        assert "data.format is for files" in complaint(lambda: resolve("a/b", SourceOptions(format="csv")))

    def test_the_same_files_in_a_folder(self, hub: Path) -> None:
        """What is downloaded from the hub by hand reads like the hub: its Parquet files carry the class names."""
        split = resolve(hub, SourceOptions())["train"]
        assert [row["label"] for _, row in split.rows()] == ["negative", "positive", "positive"]
        assert split.class_names("label") == ["negative", "positive"]
        assert split.where(2).endswith("train.parquet row 2")

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (DatasetNotFoundError("no"), "'a/b' at revision r is neither a folder here nor a data set on the hub"),
            (ConnectionError("no"), "and the hub cannot be reached: connect once, or set data.source to a folder"),
            (
                RuntimeError("Dataset scripts are no longer supported, but found b.py"),
                "is a loading script, which datasets 4 and later refuse: set data.revision to refs/convert/parquet",
            ),
            (
                ValueError("Config name is missing.\nPlease pick one among the available configs: ['x']"),
                "set data.subset",
            ),
            (ValueError("BuilderConfig 'q' not found. Available: ['x']"), "set data.subset to one of these"),
            (OSError("a\nb"), "cannot be loaded (a b): correct data.source"),
        ],
    )
    def test_faults(self, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
        def load(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(datasets, "load_dataset", load)
        assert message in complaint(lambda: resolve("a/b", SourceOptions(revision="r")))


def test_parquet_without_class_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [0, 1], "tags": [[0, 1], [1]]}), tmp_path / "train.parquet")
    split = resolve(tmp_path, SourceOptions())["train"]
    assert split.class_names("label") is None
    assert [row for _, row in split.rows()] == [{"label": 0, "tags": [0, 1]}, {"label": 1, "tags": [1]}]


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    write(tmp_path, train__parquet="no")
    split = resolve(tmp_path, SourceOptions())["train"]
    assert "train.parquet is not a Parquet file that can be read" in complaint(lambda: next(split.rows()))
