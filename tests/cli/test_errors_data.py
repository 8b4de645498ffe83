"""Files and rows that cannot be used: one line that says what is wrong, in which file and line, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.cli.conftest import MULTI, SINGLE, TAGS, says, write_rows

ROW = json.dumps(SINGLE[0])
WORDS = ["Anna", "went", "to", "Paris"]


@pytest.fixture
def refused(complaint, fit_words, tmp_path):
    """Fit rows of a kind, or a file, as train; what is said, without the folder's name."""

    def run(kind: str, train: Any, **options: Any) -> str:
        folder = tmp_path / "data"
        good = {"single": SINGLE, "multi": MULTI, "tags": TAGS, "score": []}[kind]
        write_rows(folder, {"train": train if isinstance(train, list) else good, "dev": good})
        if isinstance(train, str | bytes):
            (folder / "train.jsonl").write_bytes(train if isinstance(train, bytes) else train.encode())
        return complaint(*fit_words(kind, folder, **options)).replace(f"{folder}/", "")

    return run


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ("train.jsonl is empty", "give a file with at least one row")),
        ("\n \n", ("train.jsonl holds no rows", "give a file with at least one row")),
        (f"{ROW}\n{{'text': 1}}\n", ("train.jsonl line 2 is not JSON", "at column 2", "write one JSON object a line")),
        (f'{ROW}\n["a"]\n', ("train.jsonl line 2 is a JSON array, not an object", "write one object a line")),
        ('{"text": "x", "text": "y", "label": "b"}\n', ("train.jsonl line 1 gives the key 'text' twice", "keep one")),
        (ROW.encode() + b'\n{"text": "caf\xe9"}\n', ("train.jsonl is not UTF-8 (line 2, byte 14", "save it as UTF-8")),
        ('{"txt": "a", "label": "b"}\n', ("train.jsonl", "no column 'text'", "txt, label", "set data.text_column")),
        (f'{ROW}\n{{"text": "a"}}\n', ("train.jsonl line 2 has no column 'label'", "text", "set data.label_column")),
        (f'{ROW}\n{{"text": null, "label": "good"}}\n', ("column 'text' of train.jsonl line 2", "null", "correct")),
    ],
    ids=["empty", "blank lines", "malformed", "array", "key twice", "latin-1", "wrong column", "no label", "null text"],
)
def test_file_that_cannot_be_read_is_told_by_its_line(refused, content, said):
    says(refused("single", content), *said)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("", ("train.jsonl line 9 has no label", "column 'label' is empty", "give it one, or remove the row")),
        (None, ("train.jsonl line 9 has no label", "column 'label' is empty", "give it one, or remove the row")),
        (["good"], ("train.jsonl line 9 has a list of labels (['good'])", "use MultiLabelDataModule")),
        (1.5, ("train.jsonl line 9 has the label 1.5", "use kind: score")),
        ({"is": 1}, ("train.jsonl line 9 has the label {'is': 1}, which is of type dict", "write labels as text")),
        ("\ud800", ("label '\\ud800' of train.jsonl line 9 holds half a surrogate pair", "correct it")),
    ],
    ids=["empty", "null", "list", "number", "object", "surrogate"],
)
def test_label_that_is_none_is_told_by_its_line(refused, label, said):
    says(refused("single", [*SINGLE, {"text": "a", "label": label}]), *said)


def test_one_label_given_to_the_multi_label_datamodule_is_refused(refused):
    message = refused("multi", [*MULTI, {"text": "a", "labels": "joy"}])
    says(message, "train.jsonl line 9 has the label 'joy', not a list", "set data.label_separator")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_label_never_seen_in_train_is_named_with_the_key_to_declare_it(complaint, fit_words, tmp_path, split):
    stray = [*SINGLE, {"text": "a", "label": "ugly"}]
    folder = write_rows(tmp_path / "data", {"train": SINGLE, "dev": SINGLE, "test": SINGLE, split: stray})
    says(complaint(*fit_words("single", folder)), "'ugly'", f"{split}.jsonl line 9", "train", "add it to data.labels")


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("NaN", ("train.jsonl line 2 has no label", "column 'score' is NaN", "remove the row")),
        ("Infinity", ("score inf", "train.jsonl line 2", "not a finite number")),
        ('"high"', ("score 'high'", "train.jsonl line 2", "set data.label_column")),
        ("7", ("score 7", "train.jsonl line 2", "data.score_range [1, 5]", "correct the score, or widen the range")),
    ],
)
def test_score_that_is_no_number_in_range_is_told_by_its_line(refused, score, said):
    content = f'{{"text": "a", "score": 2}}\n{{"text": "b", "score": {score}}}\n'
    says(refused("score", content, data__kind="score", data__score_range="[1, 5]"), *said)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (["B-PER", "O", "O"], ("train.jsonl line 3 has 4 words and 3 tags", "give every word one tag")),
        (["B-PER", "O", "X-LOC", "O"], ("mixed schemes", "'X-LOC'", "train.jsonl line 3", "set data.scheme")),
        (["I-PER", "O", "O", "S-LOC"], ("mixed schemes", "train.jsonl line 3", "'I-PER'", "set data.scheme")),
        (["B-PER", "O", 3, "O"], ("train.jsonl line 3 has tag 3", "give tags as names")),
        (["B-PER", "O", "\ud800", "O"], ("tag '\\ud800' of train.jsonl line 3", "surrogate", "correct it")),
    ],
    ids=["too few", "illegal", "mixed", "number", "surrogate"],
)
def test_tags_that_are_not_right_are_told_by_their_line(refused, tags, said):
    says(refused("tags", [*TAGS, {"tokens": WORDS, "tags": tags}]), *said)


def test_tags_in_small_letters_are_told_by_their_line(refused):
    rows = [{"tokens": row["tokens"], "tags": [tag.lower() for tag in row["tags"]]} for row in TAGS]
    message = refused("tags", rows)
    says(message, "tag 'b-per' (train.jsonl line 1, word index 0) is one of a scheme", "set data.scheme: none")


def test_tag_that_the_declared_scheme_does_not_allow_is_told_by_its_word(refused):
    row = {"tokens": ["Anna", "went"], "tags": ["O", "I-PER"]}
    message = refused("tags", [*TAGS, row], data__scheme="IOB2")
    says(message, "train.jsonl line 3, word index 1", "'I-PER' cannot follow 'O' in IOB2", "set data.scheme")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text,label\na,good\nb, c,bad\n", ("line 3 has 3 fields where the header has 2", "quote fields")),
        ("text,label\na\n", ("line 2 has 1 fields where the header has 2", "quote fields")),
        ("text,text\na,b\n", ("line 1 is not a header (text, text)", "a distinct name a column")),
        ("text,label\n", ("holds no rows", "give a file with at least one row")),
        ("text;label\na, b;good\n", ("line 1", "one column, 'text;label', with ';' in it", "put a comma between")),
    ],
    ids=["too many", "too few", "header", "header only", "semicolons"],
)
def test_table_that_is_not_one_is_told_by_its_line(complaint, fit_words, tmp_path, text, said):
    path = tmp_path / "train.csv"
    path.write_text(text)
    says(complaint(*fit_words("single", json.dumps({"train": str(path)}))), str(path), *said)


def test_one_class_only_is_refused(refused):
    same = [{**row, "label": "good"} for row in SINGLE]
    says(refused("single", same), "at least two labels, but only 'good' was found", "data.labels")
    message = refused("single", same, data__labels="[good, bad]")
    says(message, "all rows of train.jsonl have the label 'good'", "needs two classes")


def test_rows_of_which_none_is_left_are_refused(refused):
    unlabelled = [{**row, "label": -1} for row in SINGLE]
    message = refused("single", unlabelled, data__labels="[good, bad]")
    says(message, "no row of train.jsonl has a label", "8 have -1", "give labelled rows")


def test_duplicate_label_name_is_refused(refused):
    message = refused("single", SINGLE, data__labels="[good, bad, good]")
    says(message, "duplicate label name 'good'", "once in data.labels")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/nowhere/data", ("data.source '/nowhere/data' is not a folder that exists", "correct the path")),
        ('{"train": "nowhere.jsonl"}', ("file nowhere.jsonl does not exist", "correct data.source (train)")),
        ("owner/name", ("'owner/name' is neither a folder here nor", "hub cannot be reached", "set data.source to")),
    ],
)
def test_source_that_is_not_there_is_named(complaint, fit_words, source, said):
    says(complaint(*fit_words("single", source)), *said)


def test_folder_without_splits_is_told_what_they_are_called(complaint, fit_words, tmp_path: Path):
    (tmp_path / "all.jsonl").write_text(ROW)
    message = complaint(*fit_words("single", tmp_path))
    says(message, f"folder {tmp_path} holds no split (all.jsonl)", "call the files train, dev and test")


def test_a_split_without_labels_is_told_how_to_leave_it_out(complaint, command, fit_words, tmp_path):
    source = write_rows(tmp_path / "data", {"train": SINGLE, "dev": SINGLE, "test": [{"text": "a joy"}]})
    message = complaint(*fit_words("single", source))
    says(message, "test.jsonl line 1 has no column 'label'", "name the other splits alone in data.source")
    files = f"{{train: {source / 'train.jsonl'}, val: {source / 'dev.jsonl'}}}"
    assert command(*fit_words("single", files)).code == 0


def test_a_file_that_is_called_otherwise_than_its_split_is_named(complaint, fit_words, tmp_path):
    source = write_rows(tmp_path / "data", {"training": SINGLE, "val": SINGLE})
    wanted = f"{source / 'training.jsonl'} is none: call it train.jsonl"
    says(complaint(*fit_words("single", source)), "data.source has no train split", wanted)
    says(complaint(*fit_words("single", source, data__labels="[good,bad]")), "has no train split (val only)", wanted)


def test_hub_id_that_is_only_a_script_is_answered_with_where_to_read_it(complaint, fit_words, monkeypatch):
    def load_dataset(*args: Any, **options: Any) -> None:
        raise RuntimeError("Dataset scripts are no longer supported, but found conll2003.py")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = complaint(*fit_words("tags", "conll2003"))
    says(message, "'conll2003' is a loading script", "set data.revision to refs/convert/parquet", "local files")


def test_empty_texts_are_kept_and_counted(command, fit_words, tmp_path):
    rows = [*SINGLE, {"text": "", "label": "good"}, {"text": " ", "label": "bad"}]
    folder = write_rows(tmp_path / "data", {"train": rows, "dev": SINGLE})
    code, _, err = command(*fit_words("single", folder))
    assert code == 0
    assert f"warning: {folder}/train.jsonl: 2 of 10 rows have an empty text; they are kept" in err.splitlines()


def test_label_that_a_known_corpus_does_not_have_names_the_class_that_takes_any(complaint, tmp_path, encoders):
    rows = [{"tokens": ["Ford"], "tags": ["B-PROD"]}]
    source = write_rows(tmp_path / "data", rows)
    message = complaint("fit", "--config", "ner.yaml", f"--data.source={source}", "--model.encoder", encoders("bert"))
    says(
        message, "label 'PROD'", "line 1", "CoNLL2003DataModule's (PER, ORG, LOC, MISC)", "take --data TokenDataModule"
    )


def test_label_that_a_known_corpus_of_pairs_does_not_have_names_the_key_of_second_texts(complaint, tmp_path, encoders):
    source = write_rows(tmp_path / "data", [{"text": "a", "text_pair": "b", "label": "same"}])
    message = complaint("fit", "--config", "nli.yaml", f"--data.source={source}", "--model.encoder", encoders("bert"))
    says(message, "label 'same'", "take --data SequenceDataModule", "with --data.text_pair_column")
