"""Parts of the rows by length and by column, and words that train did not hold."""

from __future__ import annotations

import pytest

from lightning_clf.reporting.outcomes import Outcomes, count
from lightning_clf.reporting.parts import MOST, by_column, by_length, check_columns
from lightning_clf.reporting.texts import around, shorten
from lightning_clf.reporting.unseen import unseen_words, words_of
from tests.reporting.drawn import outcomes
from tests.training import complaint


def accuracy(found: Outcomes, rows: list[int]) -> float:
    return sum(found.gold[row] == found.predicted[row] for row in rows) / len(rows)


def test_lengths_are_parts_of_about_one_size():
    found = outcomes("single", 40)
    lengths = [1] * 20 + list(range(2, 22))
    parts = by_length(found, count(found), lengths, 5)
    assert [(part["from"], part["to"], part["rows"]) for part in parts] == [(1, 5, 24), (6, 13, 8), (14, 21, 8)]
    expected = [accuracy(found, list(rows)) for rows in (range(24), range(24, 32), range(32, 40))]
    assert [part["metrics"]["accuracy"]["value"] for part in parts] == pytest.approx(expected)
    (whole,) = by_length(found, count(found), [3] * 40, 5)
    assert (whole["from"], whole["to"], whole["rows"]) == (3, 3, 40)


def test_values_of_a_column_the_most_frequent_first():
    found = outcomes("single", 40)
    rows = [{"x": None if row < 5 else 7 if row < 20 else str(row)} for row in range(40)]
    values = by_column(found, count(found), rows, "x", 5)["values"]
    assert [(value["value"], value["rows"]) for value in values[:3]] == [("7", 15), ("(empty)", 5), ("20", 1)]
    assert (len(values), values[-1]["value"], values[-1]["rows"]) == (MOST + 1, "10 other values", 10)
    assert values[0]["metrics"]["accuracy"]["value"] == pytest.approx(accuracy(found, list(range(5, 20))))
    assert "dev.csv has no column 'y' to slice by (columns: x)" in complaint(
        lambda: check_columns({"x": 1}, ["x", "y"], "dev.csv")
    )


def test_unseen_words():
    texts = [words_of("A dog's Tail, a tail."), words_of(["Oslo", "!"]), []]
    assert texts == [["a", "dog's", "tail", "a", "tail"], ["oslo", "!"], []]
    found = unseen_words(texts, [True, False, False], ["a", "!"])
    assert found["right"] == {"words": 5, "unseen": 3, "share": 0.6}
    assert found["wrong"] == {"words": 2, "unseen": 1, "share": 0.5}
    assert found["frequent"] == [
        {"word": "tail", "right": 2, "wrong": 0},
        {"word": "dog's", "right": 1, "wrong": 0},
        {"word": "oslo", "right": 0, "wrong": 1},
    ]
    assert unseen_words([["a"]], [True], [])["wrong"]["share"] is None


def test_texts_are_shortened():
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]
    assert around(words, 0, 1) == "[a] b c d e f g …"
    assert around(words, 7, 9) == "… b c d e f g [h i] j k l m n o …"
    assert around(words[:3], 1, 3) == "a [b c]"
    assert shorten("  a \n b ", 5) == "a b"
    assert shorten("abcdefg", 5) == "abcd…"
