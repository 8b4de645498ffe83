"""Texts that occur twice are counted, and told by their lines."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.data.split import ListSplit
from lightning_clf.data.text_rows import TextRows
from lightning_clf.data.token_rows import TokenRows
from lightning_clf.examine.texts import known_rows, repeated_texts

SINGLE = TextRows("single", "text", label_column="label")


def found(reads=SINGLE, **splits):
    names = {name: ListSplit(rows, name) for name, rows in splits.items()}
    rows = {name: known_rows(split, reads) for name, split in names.items()}
    return {finding.check: finding for finding in repeated_texts(rows, names)}


def row(text, label="a"):
    return {"text": text, "label": label}


def test_nothing_occurs_twice():
    findings = found(train=[row("a"), row("b")], val=[row("c")], test=[row("A")])
    assert {finding.level for finding in findings.values()} == {"ok"}
    assert list(findings) == ["duplicates", "overlap of train and val", "overlap of train and test"]


def test_repeats_and_contradictions_are_told_apart_with_a_line_of_each():
    findings = found(train=[row("a"), row("b"), row("a"), row("b", "c"), row("a")])
    assert str(findings["duplicates"]) == (
        "warning  duplicates: 2 of 5 rows of train repeat an earlier one, such as train[2] (train[0]): set "
        "data.drop_duplicates: true, or leave them if they are meant"
    )
    assert "1 of 5 rows of train have the text of an earlier one and another label, such as train[3] (train[1])" in str(
        findings["contradictions"]
    )


def test_overlap_is_an_error_from_a_tenth_on():
    train = [row("a"), row("b")]
    others = [row(str(number)) for number in range(9)]
    over = found(train=train, val=[row("b", "c"), *others], test=[row("b"), *others, row("x")])
    assert over["overlap of train and val"].level == "error"
    assert "1 of 10 texts of val (10.0%) are in train too, such as val[0] (train[1])" in str(
        over["overlap of train and val"]
    )
    assert over["overlap of train and test"].level == "warning"


def test_of_a_dev_split_out_of_train_the_library_can_drop_them():
    train = ListSplit([row("a"), row("a")], "train")
    rows = known_rows(train, SINGLE)
    (finding,) = (
        finding
        for finding in repeated_texts({"train": rows[:1], "val": rows[1:]}, {"train": train, "val": train})
        if finding.check == "overlap of train and val"
    )
    assert finding.advice == "what train has seen tells nothing of new texts: take data.drop_duplicates"


def test_a_pair_is_both_of_its_texts():
    reads = TextRows("single", "text", "other", label_column="label")
    rows = [row("a") | {"other": other} for other in "bcb"]
    assert "1 of 3" in found(reads, train=rows)["duplicates"].found


def test_sentences_are_compared_word_by_word():
    rows = [{"tokens": words, "tags": ["X"] * len(words)} for words in (["a b"], ["a", "b"], ["a b"])]
    assert "1 of 3" in found(TokenRows("tokens", "tags", "none"), train=rows)["duplicates"].found


@given(st.lists(st.text("ab", max_size=2), min_size=1), st.lists(st.text("ab", max_size=2), min_size=1))
def test_counts_are_those_of_a_plain_count(train, test):
    findings = found(train=[row(text) for text in train], test=[row(text) for text in test])
    repeated = sum(count - 1 for count in Counter(train).values())
    shared = sum(text in train for text in test)
    assert findings["duplicates"].found.startswith(f"{repeated} of" if repeated else "none of")
    assert findings["overlap of train and test"].found.startswith(f"{shared} of" if shared else "none of")
