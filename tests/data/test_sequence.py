"""Texts with labels: what a row may hold, what it becomes, and what is said of the rows that cannot be used."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from lightning_clf.data import MultiLabelDataModule, SequenceDataModule, SST2DataModule
from lightning_clf.data.base import BaseDataModule

from .conftest import complaint, make_tokenizer, write


def ready(datamodule: BaseDataModule[Any]) -> Any:
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def targets(datamodule: BaseDataModule[Any], split: str = "val") -> list[Any]:
    return [row["target"] for row in datamodule._rows_of(split)]


def rows(*labels: Any, key: str = "label") -> list[dict[str, Any]]:
    return [{"text": f"film {index}", key: label} for index, label in enumerate(labels)]


GOOD = rows("bad", "good", "bad", "good")


def fault(dev: list[dict[str, Any]], train: list[dict[str, Any]] = GOOD, **options: Any) -> str:
    return complaint(lambda: ready(SequenceDataModule({"train": train, "dev": dev}, **options)))


class TestSingle:
    def test_labels_are_sorted_or_as_declared(self) -> None:
        assert SequenceDataModule({"train": rows("b", "a", "c")}).labels.names == ("a", "b", "c")
        assert SequenceDataModule({"train": rows("10", 9, "-3")}).labels.names == ("-3", "9", "10")
        assert SequenceDataModule({"train": rows("b", "a")}, labels=["b", "a"]).labels.names == ("b", "a")

    def test_declared_labels_need_no_scan(self) -> None:
        assert SequenceDataModule("no/folder", labels=["a", "b"]).labels.names == ("a", "b")

    def test_numbers_are_positions_among_declared_names(self) -> None:
        data = {"train": rows(0, 1, "1", "negative"), "dev": rows(1, 0.0, " positive ")}
        datamodule = ready(SST2DataModule(data))
        assert targets(datamodule, "train") == [0, 1, 1, 0]
        assert targets(datamodule) == [1, 0, 1]
        assert datamodule.class_counts.counts == (2, 2)

    def test_a_number_that_is_a_name_is_that_name(self) -> None:
        data = {"train": rows(5, 3, 1), "dev": rows(1, 3)}
        assert targets(ready(SequenceDataModule(data, labels=["5", "3", "1"]))) == [2, 1]

    def test_texts_and_columns(self) -> None:
        datamodule = SequenceDataModule(
            [{"t": "a", "p": "b", "y": "x"}, {"t": "c", "p": "d", "y": "z"}] * 2,
            text_column="t",
            text_pair_column="p",
            label_column="y",
        )
        assert datamodule.input_columns == {"text": "t", "text_pair": "p", "label": "y"}
        batch = next(iter(ready(datamodule).train_dataloader()))
        assert batch.inputs["token_type_ids"][0].tolist() == [0, 0, 0, 1, 1]

    def test_hub_column_names(self) -> None:
        data = [{"sentence": "a", "label": "x"}, {"sentence": "b", "label": "y"}]
        assert SequenceDataModule({"train": data}).input_columns == {"text": "sentence"}

    def test_an_unread_second_text_is_mentioned(self) -> None:
        data = [{"text": "a", "text_pair": "b", "label": "x"}]
        with pytest.warns(UserWarning, match="train has a column 'text_pair' that is not read"):
            assert SequenceDataModule(data).input_columns == {"text": "text"}

    def test_unlabelled_rows_are_left_out(self) -> None:
        data = {"train": Dataset.from_list(rows("a", "-1", "b")), "dev": rows("a", "-1"), "test": rows(-1, -1)}
        with pytest.warns(UserWarning, match="train: 1 of 3 rows have -1 for a label and are left out as unlabelled"):
            datamodule = ready(SequenceDataModule(data))
        assert datamodule.labels.names == ("a", "b")
        assert targets(datamodule, "train") == [0, 1]
        assert [row["example_id"] for row in datamodule._rows_of("train")] == [0, 2]
        data["train"] = rows("a", -1, "b")
        message = complaint(lambda: ready(SequenceDataModule(data)))
        assert "1 of 3 rows of train have -1 for a label" in message
        assert "take them out, or if it is a label of its own, declare it in data.labels" in message
        message = complaint(datamodule.test_dataloader)
        assert "no row of test has a label (all have -1: the hub keeps the labels of contests to itself)" in message
        assert "evaluate on the val split instead" in message

    def test_minus_one_may_be_a_label_if_declared(self) -> None:
        data = {"train": rows(-1, 0, 1), "dev": rows(1, -1)}
        assert targets(ready(SequenceDataModule(data, labels=["-1", "0", "1"]))) == [2, 0]

    def test_empty_texts_are_kept_and_counted(self) -> None:
        data = {"train": [*GOOD, {"text": " ", "label": "bad"}], "dev": GOOD}
        with pytest.warns(UserWarning, match="train: 1 of 5 rows have an empty text; they are kept"):
            assert ready(SequenceDataModule(data)).num_train == 5

    def test_duplicates_of_train_are_dropped_on_request(self) -> None:
        data = {"train": [*GOOD, *GOOD], "dev": [*GOOD, *GOOD]}
        assert ready(SequenceDataModule(data)).num_train == 8
        datamodule = ready(SequenceDataModule(data, drop_duplicates=True))
        assert datamodule.num_train == 4
        assert len(targets(datamodule)) == 8

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                {"text": "a"},
                "dev[0] has no column 'label' (columns: text): correct the row, or set data.label_column if all",
            ),
            (
                {"label": "bad"},
                "dev[0] has no column 'text' (columns: label): correct the row, or set data.text_column if all",
            ),
            ({"text": "a", "label": None}, "dev[0] has no label (column 'label' is empty)"),
            ({"text": "a", "label": " "}, "dev[0] has no label (column 'label' is empty)"),
            ({"text": "a", "label": float("nan")}, "dev[0] has no label (column 'label' is empty)"),
            ({"text": "a", "label": "x"}, "label 'x' (dev[0]) is not in train nor data.labels: add it to data.labels"),
            ({"text": "a", "label": 1}, "label '1' (dev[0]) is not in train nor data.labels"),
            ({"text": "a", "label": ["bad"]}, "dev[0] has a list of labels (['bad']): if rows have several, use Multi"),
            (
                {"text": "a", "label": 0.5},
                "dev[0] has the label 0.5, which names no class: to predict numbers use",
            ),
            ({"text": None, "label": "bad"}, "column 'text' of dev[0] is empty (null), not text"),
            ({"text": 3, "label": "bad"}, "column 'text' of dev[0] is an int, not text"),
            ({"text": "a\ud800", "label": "bad"}, "column 'text' of dev[0] holds half a surrogate pair (character 2)"),
        ],
    )
    def test_faults(self, row: dict[str, Any], message: str) -> None:
        assert message in fault([row])

    def test_whole_splits(self) -> None:
        assert "no row of dev has a label (2 have -1): give labelled rows" in fault(rows(-1, -1))
        one = rows("good", "good")
        message = fault(one, one, labels=["bad", "good"])
        assert "all rows of train have the label 'good': a classifier needs two classes to tell apart" in message
        assert "needs at least two labels, but only 'good' was found" in fault(one, one)
        message = complaint(lambda: SequenceDataModule({"test": GOOD}).labels)
        assert message.startswith("data.source has no train split to find the labels in (test only): set data.labels")

    def test_line_numbers(self, tmp_path: Path) -> None:
        write(tmp_path, train__jsonl=GOOD, dev__csv='text,label\n"a\nb",bad\nc,x\n')
        message = complaint(lambda: ready(SequenceDataModule(tmp_path)))
        assert f"label 'x' ({tmp_path}/dev.csv line 4) is not in train nor data.labels" in message


class TestMulti:
    def test_lists(self) -> None:
        data = {"train": rows(["b", "a"], [], ["c", "c"], key="labels"), "dev": rows([], ["c", "a"], key="labels")}
        datamodule = ready(MultiLabelDataModule(data))
        assert datamodule.labels.kind == "multi"
        assert targets(datamodule, "train") == [[0, 1], [], [2]]
        assert targets(datamodule) == [[], [0, 2]]
        assert datamodule.class_counts.counts == (1, 1, 1)
        assert next(iter(datamodule.val_dataloader())).targets.tolist() == [[0, 0, 0], [1, 0, 1]]

    def test_separator(self, tmp_path: Path) -> None:
        write(tmp_path, train__csv="text,labels\na,x|y\nb,\nc, y |\n", dev__csv="text,labels\na,x\n")
        datamodule = ready(MultiLabelDataModule(tmp_path, label_separator="|"))
        assert targets(datamodule, "train") == [[0, 1], [], [1]]

    def test_a_column_a_label(self, tmp_path: Path) -> None:
        write(tmp_path, train__csv="text,y,x\na,1,0\nb,0,1\n", dev__csv="text,y,x\na,1,1.0\nb,False,0\n")
        datamodule = ready(MultiLabelDataModule(tmp_path, label_columns=["y", "x"]))
        assert datamodule.labels.names == ("y", "x")
        assert targets(datamodule) == [[0, 1], []]

    def test_counts_include_labels_without_rows(self) -> None:
        data = {"train": rows(["a"], ["b"], key="labels"), "dev": rows(["a"], key="labels")}
        assert ready(MultiLabelDataModule(data, labels=["z", "a", "b", "y"])).class_counts.counts == (0, 1, 1, 0)

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            ("a", "dev[0] has the label 'a', not a list: give a list of labels, or set data.label_separator"),
            (3, "dev[0] has the label 3, not a list"),
            (None, "dev[0] has no label (column 'labels' is empty)"),
            (["a", "q"], "label 'q' (dev[0]) is not in train nor data.labels"),
            (["a", ""], "dev[0] has an empty label"),
            (["a", None], "dev[0] has an empty label"),
        ],
    )
    def test_faults(self, label: Any, message: str) -> None:
        train = rows(["a"], ["b"], key="labels")
        assert message in fault(rows(label, key="labels"), train, kind="multi")

    def test_flags(self) -> None:
        train = [{"text": "a", "x": 1, "y": 0}]
        assert "column 'y' of dev[0] is 2: columns of data.label_columns hold 0 or 1" in fault(
            [{"text": "a", "x": 1, "y": 2}], train, kind="multi", label_columns=["x", "y"]
        )
        assert "dev[0] has no column 'y' (columns: text, x): correct the row, or set data.label_columns" in fault(
            [{"text": "a", "x": 1}], train, kind="multi", label_columns=["x", "y"]
        )


class TestScore:
    def test_scores(self) -> None:
        data = {"train": rows(0, "2.5", 5.0, key="score"), "dev": rows(1, -1, key="score")}
        datamodule = ready(SequenceDataModule(data, kind="score", score_range=(0.0, 5.0)))
        assert datamodule.labels.to_dict()["range"] == [0.0, 5.0]
        assert targets(datamodule, "train") == [0.0, 2.5, 5.0]
        assert targets(datamodule) == [1.0]
        assert datamodule.class_counts.counts == (3,)

    @pytest.mark.parametrize(
        ("score", "message"),
        [
            ("nan", "score 'nan' (dev[0]) is not a finite number"),
            (float("inf"), "score inf (dev[0]) is not a finite number"),
            ("high", "score 'high' (dev[0]) is no number: correct it, or set data.label_column"),
            (True, "score True (dev[0]) is not a finite number"),
            (5.1, "score 5.1 (dev[0]) is outside data.score_range [1, 5]"),
            (None, "dev[0] has no label (column 'score' is empty)"),
            (float("nan"), "dev[0] has no label (column 'score' is NaN, not a number)"),
        ],
    )
    def test_faults(self, score: Any, message: str) -> None:
        train = rows(1, 2, key="score")
        assert message in fault(rows(score, key="score"), train, kind="score", score_range=(1, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "score"}, "data.kind: score needs data.score_range: set it to the lowest and highest score"),
        ({"score_range": (1, 5)}, "data.score_range is for kind: score, but data.kind is single"),
        (
            {"kind": "score", "score_range": (1, 5), "labels": ["a"]},
            "data.labels names classes, but data.kind is score",
        ),
        ({"label_columns": ["a"]}, "data.label_columns is for kind: multi, but data.kind is single"),
        ({"label_separator": "|"}, "data.label_separator is for kind: multi, but data.kind is single"),
        ({"kind": "multi", "label_columns": ["a"], "label_separator": "|"}, "data.label_columns replaces"),
        (
            {"kind": "multi", "label_separator": ""},
            "data.label_separator is empty: set it to what stands between labels",
        ),
        ({"kind": "multi", "label_columns": ["a"], "labels": ["b"]}, "name different labels: remove data.labels"),
        ({"batch_size": 0}, "data.batch_size is 0: give 1 or more"),
        ({"batch_size": 2.5}, "data.batch_size is 2.5, which is no whole number: give 1 or more"),
        ({"batch_size": True}, "data.batch_size is True, which is no whole number: give 1 or more"),
        ({"max_length": 16.5}, "data.max_length is 16.5, which is no whole number: give a number from 1 to 1000000"),
        ({"num_workers": 1.5}, "data.num_workers is 1.5, which is no whole number: give 0 or more"),
        ({"seed": 1.5}, "data.seed is 1.5, which is no whole number: give a number from 0 to 4294967295"),
        ({"val_fraction": "0.1"}, "data.val_fraction is '0.1': give a number between 0 and 1"),
        ({"eval_batch_size": 0}, "data.eval_batch_size is 0: give 1 or more"),
        ({"max_length": 10**22}, f"data.max_length is {10**22}: give a number from 1 to 1000000"),
        ({"batch_tokens": 0}, "data.batch_tokens is 0: give 1 or more"),
        ({"pad_to_multiple_of": 0}, "data.pad_to_multiple_of is 0: give 1 or more"),
        (
            {"batch_tokens": 512, "group_by_length": False},
            "data.batch_tokens makes batches of texts of about one length, but data.group_by_length is false: leave it "
            "out, or count examples with data.batch_size",
        ),
        ({"num_workers": -1}, "data.num_workers is -1: give 0 or more"),
        ({"max_length": 0}, "data.max_length is 0: give a number from 1 to 1000000"),
        ({"val_fraction": 1.0}, "data.val_fraction is 1.0: give a number between 0 and 1"),
    ],
)
def test_arguments(options: dict[str, Any], message: str) -> None:
    assert message in complaint(lambda: SequenceDataModule(GOOD, **options))


def test_corpora_know_their_kind() -> None:
    assert "SST2DataModule has no kind 'multi': use single" in complaint(lambda: SST2DataModule(GOOD, kind="multi"))
    assert "MultiLabelDataModule has no kind 'single'" in complaint(lambda: MultiLabelDataModule(GOOD, kind="single"))


def test_numbers_are_positions_only_where_no_label_is_a_number() -> None:
    data = {"train": rows("0", "1", "2"), "dev": rows("1", "2"), "test": rows("1")}
    assert "'0' (train[0]) is not" in complaint(lambda: ready(SequenceDataModule(data, labels=["1", "2", "3"])))
    assert targets(ready(SequenceDataModule(data, labels=["a", "b", "c"])), "train") == [0, 1, 2]


def test_scores_are_of_pairs_where_there_are_some() -> None:
    hub = [{"sentence1": "a b", "sentence2": "c", "score": 0.5}, {"sentence1": "d", "sentence2": "e", "score": 1.0}]
    own = [{"text": "a b", "text_pair": "c", "score": 0.5}, {"text": "d", "text_pair": "e", "score": 1.0}]
    single = [{"text": "a b", "score": 0.5}]
    read = [SequenceDataModule(rows, kind="score", score_range=(0.0, 1.0)).input_columns for rows in (hub, own, single)]
    assert read == [
        {"text": "sentence1", "text_pair": "sentence2"},
        {"text": "text", "text_pair": "text_pair"},
        {"text": "text"},
    ]
