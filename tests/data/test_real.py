"""The real corpora, read whole, reach the counts that are known of them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lightning_clf.data import (
    CoNLL2003DataModule,
    MultiLabelDataModule,
    NLIDataModule,
    SequenceDataModule,
    SST2DataModule,
    TokenDataModule,
)
from lightning_clf.data.base import BaseDataModule

from .conftest import make_tokenizer

pytestmark = pytest.mark.real


def ready(datamodule: BaseDataModule[Any]) -> BaseDataModule[Any]:
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def sizes(datamodule: BaseDataModule[Any]) -> list[int]:
    assert datamodule._prepared is not None
    return [len(datamodule._prepared.rows(name)) for name in ("train", "val", "test")]


def test_conll2003_from_columns_and_from_rows(real_data: Path) -> None:
    columns = ready(CoNLL2003DataModule(real_data / "conll2003" / "columns"))
    rows = ready(CoNLL2003DataModule(real_data / "conll2003"))
    assert columns.row_format.scheme == "IOB1"
    assert rows.row_format.scheme == "IOB2"
    assert sizes(columns) == sizes(rows) == [14_041, 3_250, 3_453]
    names = columns.labels.names
    for split, tokens, entities in (("train", 203_621, 23_499), ("val", 51_362, 5_942), ("test", 46_435, 5_648)):
        one, other = columns._rows_of(split), rows._rows_of(split)
        assert one["target"][:] == other["target"][:]
        assert one["input_ids"][:] == other["input_ids"][:]
        tags = Counter(names[tag] for sentence in one["target"] for tag in sentence)
        assert sum(tags.values()) == tokens
        assert sum(count for tag, count in tags.items() if tag.startswith("B-")) == entities


def test_sst2(real_data: Path) -> None:
    datamodule = ready(SST2DataModule(real_data / "sst2"))
    assert sizes(datamodule) == [6_920, 872, 1_821]
    assert datamodule.class_counts.counts == (3_310, 3_610)


def test_sick(real_data: Path) -> None:
    assert sizes(ready(NLIDataModule(real_data / "sick"))) == [4_500, 500, 4_927]
    score = SequenceDataModule(real_data / "sick", kind="score", score_range=(1.0, 5.0), text_pair_column="text_pair")
    assert sizes(ready(score)) == [4_500, 500, 4_927]


def test_goemotions(real_data: Path) -> None:
    datamodule = ready(MultiLabelDataModule(real_data / "goemotions"))
    assert sizes(datamodule) == [43_410, 5_426, 5_427]
    assert len(datamodule.labels) == 28
    assert datamodule.class_counts.by_name()["grief"] == 77


def test_trec_holds_out_a_dev_split(real_data: Path) -> None:
    datamodule = ready(SequenceDataModule(real_data / "trec"))
    assert sizes(datamodule) == [4_907, 545, 500]
    held = Counter(datamodule._rows_of("val")["target"])
    assert held[datamodule.labels.index("ABBR")] == 9  # 1.6 % of 545


def test_sms_spam_without_its_duplicates(real_data: Path) -> None:
    datamodule = ready(SequenceDataModule(real_data / "sms_spam", splits={"train": "all"}, drop_duplicates=True))
    assert datamodule.num_train + len(datamodule._rows_of("val")) == 5_574 - 403


def test_snips(real_data: Path) -> None:
    slots = ready(TokenDataModule(real_data / "snips"))
    assert sizes(slots) == [13_084, 700, 700]
    assert len(slots.labels.entity_types) == 39
