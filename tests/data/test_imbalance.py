"""What is said of imbalance, word for word, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_clf import MultiLabelClassifier
from lightning_clf.counts import ClassCounts
from lightning_clf.data import OverSampling, SequenceDataModule
from lightning_clf.data.imbalance import recommend, report
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import AsymmetricLoss

from .conftest import texts
from .test_training import Recorder, trainer


def said(kind: Any, rows: int, **counts: int) -> list[str]:
    """The report on labels with these counts."""
    return report(ClassCounts(LabelSpace.of(list(counts), kind), tuple(counts.values()), rows), rows)


def said_of_tags(types: list[str], scheme: Any, rows: int, **counts: int) -> list[str]:
    labels = LabelSpace.tags(types, scheme)
    by_name = {name.replace("_", "-"): count for name, count in counts.items()}
    assert set(by_name) <= set(labels.names)
    numbers = tuple(by_name.get(name, 0) for name in labels.names)
    return report(ClassCounts(labels, numbers, sum(numbers)), rows)


def test_two_labels() -> None:
    assert said("single", 540, ham=530, spam=10) == [
        "train has 540 examples and 2 labels: most frequent ham 530, least frequent spam 10, which is 53:1",
        "at 53:1 the plain loss is a good start",
    ]


def test_the_rarest_of_many_and_the_absent() -> None:
    assert said("single", 11063, a=60, b=8000, c=0, d=1000, e=2000, f=3, g=0) == [
        "train has 11063 examples and 5 labels: most frequent b 8000, least frequent f 3, which is 2666:1",
        "rarest labels: f 3, a 60, d 1000, e 2000, b 8000",
        "labels without an example in train, which cannot be learned: c, g",
        "to be tried at 2666:1: model.loss: LogitAdjustedLoss, or model.class_weights: inverse",
    ]
    counts = {f"l{index:02}": 1000 * (index < 2) + index for index in range(9)}
    assert said("single", 2037, **counts, **{f"no{index:02}": 0 for index in range(13)})[1:3] == [
        "rarest labels: l02 2, l03 3, l04 4, l05 5, l06 6",
        "labels without an example in train, which cannot be learned: no00, no01, no02, no03, no04, no05, no06, no07, "
        "no08, no09, no10, no11 …",
    ]


def test_what_cannot_be_tried_is_not_advised() -> None:
    counts = ClassCounts(LabelSpace.of(["joy", "fear"], "multi"), (80, 8), 88)
    advised, plain = report(counts, 88), report(counts, 88, is_advised=False)
    assert advised[:-1] == plain
    assert advised[-1].startswith("to be tried at 10:1")


def test_several_labels() -> None:
    assert said("multi", 100, joy=80, fear=8, rage=40) == [
        "train has 100 examples and 3 labels: most frequent joy 80, least frequent fear 8, which is 10:1",
        "rarest labels: fear 8, rage 40, joy 80",
        "to be tried at 10:1: model.loss: AsymmetricLoss, with data.sampling: OverSampling for the rarest",
    ]


def test_entity_types_are_compared_by_spans() -> None:
    expected = [
        "train has 500 sentences and 2 entity types: most frequent PER 90, least frequent LOC 20, which is 4.5:1",
        "entity types without an example in train, which cannot be learned: ORG",
        "at 4.5:1 the plain loss is a good start",
    ]
    types = ["PER", "LOC", "ORG"]
    assert said_of_tags(types, "IOB2", 500, O=10**6, B_PER=90, I_PER=900, B_LOC=20) == expected
    assert said_of_tags(types, "BIOES", 500, O=10**6, B_PER=60, S_PER=30, E_PER=60, S_LOC=20) == expected


def test_tags_that_are_not_spans() -> None:
    assert said_of_tags(["NOUN", "X"], "none", 9, NOUN=70, X=10) == [
        "train has 9 sentences and 2 tags: most frequent NOUN 70, least frequent X 10, which is 7:1",
        "at 7:1 the plain loss is a good start",
    ]


@pytest.mark.parametrize(("most", "ratio"), [(300, "3:1"), (999, "9.9:1"), (1000, "10:1"), (5399, "53:1")])
def test_a_ratio_is_never_rounded_up(most: int, ratio: str) -> None:
    assert said("single", most + 100, a=most, b=100)[0].endswith(f"which is {ratio}")


def test_nothing_is_said_of_balanced_labels_and_of_scores() -> None:
    assert said("single", 399, a=299, b=100) == []
    assert said("multi", 10, a=10, b=4) == []
    assert report(ClassCounts(LabelSpace.score(0, 5), (1000,), 1000), 1000) == []


def test_hardly_any_label() -> None:
    assert said("multi", 7, a=0, b=0) == [
        "train has 7 examples and none of the 2 labels",
        "labels without an example in train, which cannot be learned: a, b",
    ]
    assert said("multi", 7, a=0, b=3) == [
        "train has 7 examples and one of the 2 labels: b 3",
        "labels without an example in train, which cannot be learned: a",
    ]
    assert said("multi", 7, a=7) == []


@pytest.mark.parametrize(
    ("kind", "ratio", "advice"),
    [
        ("single", 5, ""),
        ("tags", 99.9, ""),
        ("single", 100, "model.loss: LogitAdjustedLoss, or model.class_weights: inverse"),
        ("multi", 4.99, ""),
        ("multi", 5, "model.loss: AsymmetricLoss, with data.sampling: OverSampling for the rarest"),
        ("multi", 5000, "model.loss: AsymmetricLoss, with data.sampling: OverSampling for the rarest"),
    ],
)
def test_recommendations(kind: Any, ratio: float, advice: str) -> None:
    assert recommend(kind, ratio) == advice


class TestFit:
    line = "train has 12 examples and 2 labels: most frequent bad 9, least frequent good 3, which is 3:1"

    def messages(self, caplog: pytest.LogCaptureFixture, run: str, **options: Any) -> list[str]:
        module = Recorder()
        rows = [*texts(9, ["bad"]), *texts(3, ["good"])]
        datamodule = SequenceDataModule({"train": rows, "dev": rows, "test": rows}, **options)
        with caplog.at_level("INFO"):
            getattr(trainer(max_epochs=2), run)(module, datamodule=datamodule)
        return caplog.messages

    def test_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        said = self.messages(caplog, "fit")
        assert said.count(self.line) == 1
        assert said[said.index(self.line) + 1] == "at 3:1 the plain loss is a good start"
        assert not [line for line in said if line.startswith("data.sampling")]

    @pytest.mark.parametrize("run", ["validate", "test"])
    def test_only_of_what_is_fitted(self, run: str, caplog: pytest.LogCaptureFixture) -> None:
        assert self.line not in self.messages(caplog, run)

    def test_with_the_rows_of_an_epoch(self, caplog: pytest.LogCaptureFixture) -> None:
        said = self.messages(caplog, "fit", sampling=OverSampling(by="inverse"))
        assert said.count(self.line) == 1
        assert "data.sampling: an epoch has 18 rows in place of the 12 of train" in said

    def test_what_is_set_is_not_advised(self, encoders: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        rows = [{"text": f"{number}", "labels": ["a"] if number else ["b"]} for number in range(8)]
        for options, said in (
            ({}, "to be tried at 7:1: model.loss: AsymmetricLoss, with data.sampling: OverSampling for the rarest"),
            ({"loss": AsymmetricLoss()}, "for 7:1, loss or sampling are set"),
            ({"class_weights": "inverse"}, "for 7:1, loss or sampling are set"),
        ):
            caplog.clear()
            module = MultiLabelClassifier(str(encoders("bert")), **options)
            with caplog.at_level("INFO"):
                trainer(max_steps=1).fit(
                    module, datamodule=SequenceDataModule({"train": rows, "dev": rows}, kind="multi", max_length=16)
                )
            assert said in caplog.messages
