"""The table a person edits, whatever is in it."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.language_models.corpus import Corpus
from lightning_clf.language_models.review import read_review, write_review
from tests.texts import repeatable, words

LABELS = ("=a", "b, c")
SINGLE = Corpus([], LabelSpace.of(LABELS, "single"), "sentence", "class")
MULTI = Corpus([], LabelSpace.of(LABELS, "multi"), "sentence", "labels")


def row(corpus, text, labels):
    return {"id": [1, None], "augmented": {"kind": "row"}} | corpus.columns(text, labels)


@repeatable
@given(st.lists(words.filter(str.strip), min_size=1), st.sampled_from(LABELS))
def test_a_table_nobody_edited_gives_the_same_rows(tmp_path_factory, texts, label):
    path = tmp_path_factory.mktemp("review") / "review.csv"
    for corpus, labels in ((SINGLE, [label]), (MULTI, [label]), (MULTI, [])):
        rows = [row(corpus, text, labels) for text in texts]
        write_review(path, rows, corpus)
        assert read_review(str(path), corpus) == rows


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\tb", "'=1", "''-1"])
def test_no_cell_is_a_formula(text, tmp_path):
    path = tmp_path / "review.csv"
    write_review(path, [row(SINGLE, text, ["=a"])], SINGLE)
    with path.open(newline="") as file:
        (_, (keep, label, cell, _)) = csv.reader(file)
    assert (keep, label, cell) == ("1", "'=a", f"'{text}")
    assert read_review(str(path), SINGLE)[0]["sentence"] == text


def test_an_apostrophe_alone_is_none(tmp_path):
    path = tmp_path / "review.csv"
    write_review(path, [row(SINGLE, "'tis", ["=a"])], SINGLE)
    assert ",'tis," in path.read_text()
    assert read_review(str(path), SINGLE)[0]["sentence"] == "'tis"


@pytest.mark.parametrize(
    ("corpus", "line", "said"),
    [
        (SINGLE, "maybe,'=a,text,{}", "column 'keep' of review.csv line 2 is 'maybe'"),
        (SINGLE, "1,c,text,{}", "label 'c' (review.csv line 2) is none of --data (=a, b, c)"),
        (SINGLE, "1,'=a, ,{}", "column 'text' of review.csv line 2 is empty"),
        (SINGLE, "1,'=a,text,[]", "column 'rest' of review.csv line 2"),
        (SINGLE, "1,'=a,text,", "column 'rest' of review.csv line 2"),
        (MULTI, "1,'=a,text,{}", "column 'label' of review.csv line 2"),
        (MULTI, '1,"[""d""]",text,{}', "label 'd' (review.csv line 2)"),
        (MULTI, "1,[1],text,{}", "column 'label' of review.csv line 2"),
    ],
)
def test_what_cannot_be_understood_is_named(corpus, line, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "review.csv").write_text(f"keep,label,text,rest\n{line}\n")
    with pytest.raises(InputError) as error:
        read_review("review.csv", corpus)
    assert said in str(error.value)


def test_another_table_is_refused(tmp_path):
    (tmp_path / "review.csv").write_text("text,label\na,b\n")
    with pytest.raises(InputError, match="has no column 'keep'"):
        read_review(str(tmp_path / "review.csv"), SINGLE)
