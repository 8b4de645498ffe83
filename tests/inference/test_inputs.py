"""Columns that are there and empty are told from columns that are not there."""

from __future__ import annotations

import pytest

from lightning_clf.inference import Classifier
from tests.training import complaint

EMPTY = "is empty (null), not text: correct the row"
WORDS = 'row 1: column \'tokens\' must hold a list of words, such as ["Paris", "sleeps"], but'


@pytest.mark.parametrize(("name", "row", "message"), [
    ("single", {"sentence": None}, f"column 'sentence' of row 1 {EMPTY}"),
    ("single", {"text": None}, f"column 'text' of row 1 {EMPTY}"),
    ("single", {"sentence": None, "text": "a"}, f"column 'sentence' of row 1 {EMPTY}"),
    ("pair", {"premise": "a", "hypothesis": None}, f"column 'hypothesis' of row 1 {EMPTY}"),
    ("pair", {"premise": "a", "text": "b"}, "row 1 has no column 'hypothesis', only 'premise', 'text': add it"),
    ("tags", {"text": None}, f"column 'text' of row 1 {EMPTY}"),
    ("tags", {"tokens": None, "text": None}, f"column 'text' of row 1 {EMPTY}"),
    ("tags", {"tokens": None}, f"{WORDS} is empty (null): correct the row"),
    ("tags", {"tokens": "a b"}, f"{WORDS} holds a str: correct the row"),
])  # fmt: skip
def test_a_column_without_a_value(name, row, message, classifier):
    assert complaint(lambda: classifier(name).predict([row])).startswith(message)


def test_a_tagger_splits_the_text_where_the_words_are_empty(classifier):
    model = classifier("tags")
    assert model.predict([{"tokens": None, "text": "Anna sleeps"}]) == model.predict(["Anna sleeps"])


@pytest.mark.parametrize(("name", "role", "said"), [
    ("single", "text_pair", "second texts, and the model reads no pairs"),
    ("tags", "text_pair", "second texts, and the model reads no pairs"),
    ("single", "tokens", "words, and the model reads no words"),
    ("pair", "tokens", "words, and the model reads no words"),
])  # fmt: skip
def test_a_column_of_what_the_model_does_not_read_is_refused(name, role, said, classifier):
    artefact = classifier(name).artefact
    assert complaint(lambda: Classifier(artefact, {role: "b"})) == f"column 'b' is named for {said}: leave it out"
    Classifier(artefact, {"text": "b", "label": "c"})


@pytest.mark.parametrize(("name", "row", "message"), [
    ("tags", ["Anna", "sleeps"], "row 1 is a list: give a text, or a mapping with 'tokens' or 'text'"),
    ("tags", None, "row 1 is a NoneType: give a text, or a mapping with 'tokens' or 'text'"),
    ("single", 3, "row 1 is an int: give a text, or a mapping with 'sentence'"),
    ("pair", ("a", "b"), "row 1 is a tuple: give a text, or a mapping with 'premise' and 'hypothesis'"),
])  # fmt: skip
def test_what_is_no_row(name, row, message, classifier):
    assert complaint(lambda: classifier(name).predict([row])) == message


@pytest.mark.parametrize(("rows", "what"), [("one text", "a str"), ({"tokens": ["Anna"]}, "a dict")])
def test_one_row_in_the_place_of_rows(rows, what, classifier):
    said = complaint(lambda: classifier("tags").predict(rows))
    assert said == f"predict was given {what} for its rows: give a list, if need be of one"
