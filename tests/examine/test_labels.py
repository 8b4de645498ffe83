"""Labels that are missing, uneven, or several in one."""

from __future__ import annotations

import pytest

from lightning_clf.counts import ClassCounts
from lightning_clf.examine.labels import imbalance, joined_by, missing_labels, taken_for
from lightning_clf.labels import LabelSpace

SPACE = LabelSpace.of(["a", "b", "c"], "single")


@pytest.mark.parametrize(
    ("names", "separator"),
    [
        (["joy", "fear", "joy|fear", "fear|anger|joy", "anger"], "|"),
        (["joy", "fear", "joy; fear", "joy; anger", "anger; fear"], ";"),
        (["joy,fear", "fear,anger", "joy,anger", "joy"], ","),
        (["joy", "fear", "love|hate"], None),  # a name may hold one
        (["a|b", "c|d"], None),
        (["a", "b", "c"], None),
        (["|", "a|", "a"], None),
        ([], None),
    ],
)
def test_several_labels_in_one_are_told_by_their_parts(names, separator):
    assert joined_by(names) == separator


def test_labels_that_look_like_several_are_told():
    finding = taken_for(LabelSpace.of(["joy", "fear", "joy|fear"], "single"))
    assert finding.level == "warning"
    assert "data.label_separator '|'" in finding.advice
    assert taken_for(SPACE) == ("ok", "labels", "single, 3 labels: a, b, c", "")
    assert taken_for(LabelSpace.score(0, 5)).found == "score, from 0 to 5"
    assert taken_for(LabelSpace.tags(["PER"], "IOB2")).found == "tags, 1 entity types: PER"


@pytest.mark.parametrize(
    "space", [LabelSpace.of(["ham", "Spam", "spam"], "single"), LabelSpace.tags(["Per", "PER"], "IOB2")]
)
def test_labels_that_differ_by_case_alone_are_told(space):
    finding = taken_for(space)
    assert finding.level == "warning"
    assert finding.found.endswith("differ by case alone")
    one, other = (space.entity_types or space.names)[-2:]
    assert f"{one!r} and {other!r}" in finding.found


def test_labels_that_programs_write_into_empty_cells_are_told():
    finding = taken_for(LabelSpace.of(["ham", "NaN", "Spam", "spam"], "single"))
    assert finding.level == "warning"
    assert "'Spam' and 'spam' differ by case alone" in finding.found
    assert finding.found.endswith("'NaN' is what programs write into an empty cell")
    assert finding.advice.endswith("take such rows out, or keep the label")
    assert taken_for(LabelSpace.of(["none", "joy"], "single")).level == "ok"  # as a label is called


def test_labels_that_a_split_lacks_are_named():
    counts = {
        "train": ClassCounts(SPACE, (3, 0, 1), 4),
        "val": ClassCounts(SPACE, (1, 1, 1), 3),
        "test": ClassCounts(SPACE, (0, 5, 0), 5),
    }
    train, val, test = missing_labels(counts)
    assert (train.level, train.check, train.found) == ("warning", "labels of train", "lacks 1 of 3 labels: b")
    assert "none of them can be learned" in train.advice
    assert val.level == "ok"
    assert test.found == "lacks 2 of 3 labels: a, c"


def test_entity_types_are_counted_by_their_first_tags():
    space = LabelSpace.tags(["LOC", "PER"], "IOB2")
    counts = [0] * len(space)
    counts[space.index("B-PER")] = 2
    counts[space.index("O")] = 50
    (finding,) = missing_labels({"val": ClassCounts(space, tuple(counts), 52)})
    assert finding.found == "lacks 1 of 2 entity types: LOC"


def test_imbalance_is_told_unless_something_is_done_about_it():
    even, uneven = (ClassCounts(SPACE, counts, 200) for counts in ((30, 40, 30), (190, 9, 1)))
    assert imbalance(even, is_met=False).level == "ok"
    finding = imbalance(uneven, is_met=False)
    assert finding.level == "warning"
    assert finding.found == "train has a 190 times and c 1 times"
    assert finding.advice.startswith("try model.loss: LogitAdjustedLoss")
    assert imbalance(uneven, is_met=True).level == "ok"
    assert imbalance(ClassCounts(SPACE, (3, 0, 0), 3), is_met=False) is None
