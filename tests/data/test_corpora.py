"""The corpora that are known by name, as the hub has them: columns, class numbers and secret labels included."""

from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from lightning_clf.data import CoNLL2003DataModule, MultiLabelDataModule, NLIDataModule, SST2DataModule
from lightning_clf.data.base import BaseDataModule

from .conftest import complaint, make_tokenizer

NLI = ClassLabel(names=["entailment", "neutral", "contradiction"])


def pairs(labels: list[int], first: str = "premise", second: str = "hypothesis") -> Dataset:
    features = Features({first: Value("string"), second: Value("string"), "label": NLI})
    rows = {first: ["a b"] * len(labels), second: ["c"] * len(labels), "label": labels}
    return Dataset.from_dict(rows, features=features)


def sentences(labels: list[int]) -> Dataset:
    features = Features(sentence=Value("string"), label=ClassLabel(names=["negative", "positive"]), idx=Value("int32"))
    rows = {"sentence": ["a"] * len(labels), "label": labels, "idx": list(range(len(labels)))}
    return Dataset.from_dict(rows, features=features)


def emotions(labels: list[list[int]]) -> Dataset:
    features = Features(text=Value("string"), labels=List(ClassLabel(names=["joy", "anger", "neutral"])))
    return Dataset.from_dict({"text": ["a"] * len(labels), "labels": labels}, features=features)


def names(tags: list[list[int]]) -> Dataset:
    tagset = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
    features = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=tagset)))
    return Dataset.from_dict({"tokens": [["a"] * len(row) for row in tags], "ner_tags": tags}, features=features)


HUB: dict[tuple[str, str | None, str | None], DatasetDict] = {
    ("stanfordnlp/sst2", None, None): DatasetDict(
        train=sentences([0, 1, 1]), validation=sentences([1, 0]), test=sentences([-1, -1])
    ),
    ("stanfordnlp/snli", None, None): DatasetDict(
        train=pairs([0, 1, 2, -1]), validation=pairs([2, -1]), test=pairs([1, -1])
    ),
    ("nyu-mll/multi_nli", None, None): DatasetDict(
        train=pairs([0, 1, 2]), validation_matched=pairs([2]), validation_mismatched=pairs([1, 0])
    ),
    ("RobZamp/sick", None, "refs/convert/parquet"): DatasetDict(
        {name: pairs([0, 1, 2], "sentence_A", "sentence_B") for name in ("train", "validation", "test")}
    ),
    ("google-research-datasets/go_emotions", "simplified", None): DatasetDict(
        {name: emotions([[0], [0, 2], [1]]) for name in ("train", "validation", "test")}
    ),
    ("eriktks/conll2003", None, "refs/convert/parquet"): DatasetDict(
        {name: names([[1, 2, 0], [5]]) for name in ("train", "validation", "test")}
    ),
}


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda name, subset=None, revision=None: HUB[name, subset, revision])


def targets(datamodule: BaseDataModule[Any]) -> list[list[Any]]:
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    assert datamodule._prepared is not None
    return [list(rows["target"]) for rows in datamodule._prepared._rows.values()]


@pytest.mark.filterwarnings("ignore:.*have -1 for a label")
def test_labels_of_the_hub() -> None:
    assert targets(NLIDataModule()) == [[0, 1, 2], [2], [1]]
    assert targets(NLIDataModule("multinli")) == [[0, 1, 2], [2], [1, 0]]
    assert targets(NLIDataModule("sick")) == [[0, 1, 2]] * 3
    assert targets(MultiLabelDataModule()) == [[[0], [0, 2], [1]]] * 3
    assert targets(CoNLL2003DataModule()) == [[[1, 2, 0], [5]]] * 3


def test_label_spaces() -> None:
    assert MultiLabelDataModule().labels.names == ("joy", "anger", "neutral")
    assert CoNLL2003DataModule().labels.entity_types == ("PER", "ORG", "LOC", "MISC")
    assert NLIDataModule("sick").input_columns == {"text": "sentence_A", "text_pair": "sentence_B"}
    assert SST2DataModule().input_columns == {"text": "sentence"}


def test_secret_test_labels() -> None:
    datamodule = SST2DataModule()
    assert targets(datamodule) == [[0, 1, 1], [1, 0], []]
    assert "no row of stanfordnlp/sst2 test has a label" in complaint(datamodule.test_dataloader)
