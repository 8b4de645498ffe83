"""The label space: order, kinds, primitives, and what it refuses."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest

from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace, sort_names, whole_number


def test_indices_are_positions_in_the_order_declared() -> None:
    labels = LabelSpace.of(["negative", "positive", "neutral"], "single")
    assert len(labels) == 3
    assert [labels.index(name) for name in labels.names] == [0, 1, 2]
    assert labels.id2label == {0: "negative", 1: "positive", 2: "neutral"}
    assert labels.entity_types == ()
    assert labels.outside == 0


def test_tags_with_spans() -> None:
    labels = LabelSpace.tags(["PER", "LOC"], "IOB2")
    assert labels.names == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    assert labels.entity_types == ("PER", "LOC")
    assert labels.outside == 0
    assert LabelSpace(("B-PER", "I-PER", "O"), "tags", "IOB2").outside == 2


def test_tags_without_spans() -> None:
    labels = LabelSpace.tags(["NOUN", "VERB"], "none")
    assert labels.names == ("NOUN", "VERB")
    assert labels.entity_types == ()
    assert labels.outside == 0


def test_a_score_has_one_output_and_a_range() -> None:
    labels = LabelSpace.score(1, 5)
    assert len(labels) == 1
    assert labels.range == (1.0, 5.0)


@pytest.mark.parametrize(
    "labels",
    [
        LabelSpace.of(["a", "b"], "single"),
        LabelSpace.of(["a"], "multi"),
        LabelSpace.tags(["PER"], "BIOES"),
        LabelSpace.tags(["NOUN", "VERB"], "none"),
        LabelSpace.score(0, 5),
    ],
    ids=lambda labels: f"{labels.kind}-{labels.scheme}",
)
def test_primitives_make_the_same_space_again(labels: LabelSpace) -> None:
    assert LabelSpace.from_dict(json.loads(json.dumps(labels.to_dict()))) == labels


def test_spaces_are_equal_by_value_and_hash_alike() -> None:
    one, two = LabelSpace.of(["a", "b"], "single"), LabelSpace(["a", "b"], "single")  # type: ignore[arg-type]
    assert one == two
    assert hash(one) == hash(two)
    assert one != LabelSpace.of(["b", "a"], "single")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ("a", "b"), "kind": "multiclass"}, "label kind 'multiclass' is unknown: use one of single, multi"),
        ({"names": ("a", ""), "kind": "single"}, "label '' is not a non-empty string"),
        ({"names": ("a", 1), "kind": "single"}, "label 1 is not a non-empty string"),
        ({"names": ("a", "\ud800"), "kind": "multi"}, r"label '\\ud800' holds half a surrogate pair: correct"),
        ({"names": ("a", "b", "a"), "kind": "single"}, "duplicate label name 'a'"),
        ({"names": ("a",), "kind": "single"}, "needs at least two labels, but only 'a' was found"),
        ({"names": (), "kind": "multi"}, "needs at least two labels, but none was found"),
        ({"names": ("O", "B-PER"), "kind": "tags"}, "tag scheme None is unknown"),
        ({"names": ("O", "B-PER"), "kind": "tags", "scheme": "IOE1"}, "tag scheme 'IOE1' is unknown"),
        ({"names": ("O", "E-PER"), "kind": "tags", "scheme": "IOB2"}, "tag 'E-PER' is not one of scheme IOB2"),
        ({"names": ("a", "b"), "kind": "single", "scheme": "IOB2"}, "labels of kind single have no tag scheme"),
        ({"names": ("score",), "kind": "score"}, "a score needs a range"),
        ({"names": ("score",), "kind": "score", "range": (5, 1)}, r"a score needs a range .* not \[5, 1\]"),
        (
            {"names": ("score",), "kind": "score", "range": (0, inf)},
            r"two finite numbers, .* set data\.score_range to one",
        ),
        ({"names": ("score",), "kind": "score", "range": (-inf, 0)}, "two finite numbers"),
        ({"names": ("score",), "kind": "score", "range": (0, nan)}, "two finite numbers"),
        (
            {"names": ("score",), "kind": "score", "range": (-1e308, 1e308)},
            "two finite numbers",
        ),  # their distance is not
    ],
)
def test_spaces_no_model_could_learn_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        LabelSpace(**arguments)
    assert "\n" not in str(raised.value)


class Compared(str):
    """A name that counts how often it is compared with another."""

    times = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)


def test_many_names_are_not_each_compared_with_all() -> None:
    names = [Compared(number) for number in range(2000)]
    LabelSpace.of(names, "single")
    assert Compared.times < 10 * len(names)


def test_an_unknown_label_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"label 'neutral' is not among the labels \(neg, pos\).*data\.labels"):
        LabelSpace.of(["neg", "pos"], "single").index("neutral")


def test_undeclared_labels_sort_as_numbers_where_they_are() -> None:
    assert sort_names(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert sort_names(["b", "10", "9"]) == ["10", "9", "b"]
    assert sort_names(["9" * 5000, "10", "9"])[0] == "10"  # Python refuses to read so long a number


@pytest.mark.parametrize(
    ("name", "digits"),
    [("3", "3"), ("3.0", "3"), ("-1.00", "-1"), ("007.0", "007"), ("1.50", None), ("v1.0", None), ("1.", None),
     ("1e0", None), ("", None), ("3.0\n", None), ("٣", None)],
)  # fmt: skip
def test_whole_numbers_are_told_from_other_names(name: str, digits: str | None) -> None:
    assert whole_number(name) == digits


@pytest.mark.parametrize("data", [{"a": "b"}, {"names": 3, "kind": "single"}, ["a", "b"]])
def test_what_is_no_label_space_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match=r"labels .* are not what LabelSpace.to_dict writes .*: leave them out"):
        LabelSpace.from_dict(data)
