"""Soft labels out of a file: found by the row's text, and whatever is wrong is said of its line."""

from __future__ import annotations

import json
import math

import pytest
import torch

from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.soft_labels import ask_file
from tests.tiny import CORPUS
from tests.training import ROWS, complaint, make_data, make_module


@pytest.fixture
def data_of(encoders, tmp_path):
    """A datamodule of a kind, with its tokenizer."""

    def make(kind, **options):
        data = make_data(kind, cache_dir=tmp_path / "cache", **options)
        data.tokenizer = make_module(kind, encoders("bert")).tokenizer
        return data

    return make


def write(folder, lines):
    file = folder / "soft.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def answers(data, file):
    return Answers(data.cache_dir / ask_file(file, data))


def lines_of(kind, value):
    """A line for each row of train, the last first."""
    columns = ("text", "text_pair", "tokens")
    column = "score" if kind == "score" else "probabilities"
    return [
        {**{name: row[name] for name in columns if name in row}, column: value(row)} for row in reversed(ROWS[kind])
    ]


def test_one_label(data_of, tmp_path):
    lines = lines_of("single", lambda row: {"good": 0.75, "bad": 0.251} if row["text"] == CORPUS[0] else {"fine": 1})
    found = answers(data_of("single"), write(tmp_path, lines)).of(torch.tensor([1, 0])).softmax(-1)
    torch.testing.assert_close(found, torch.tensor([[0, 1, 0], [0.251 / 1.001, 0, 0.75 / 1.001]]))  # bad, fine, good


def test_many_labels(data_of, tmp_path):
    lines = lines_of("multi", lambda row: {"joy": 0.25, "fear": 1})
    found = answers(data_of("multi"), write(tmp_path, lines)).of(torch.tensor([3]))
    torch.testing.assert_close(found, torch.tensor([[math.inf, math.log(1 / 3)]]))  # fear, joy


def test_scores(data_of, tmp_path):
    lines = lines_of("score", lambda row: row["score"] / 2)
    found = answers(data_of("score"), write(tmp_path, lines)).of(torch.arange(8))
    assert found.flatten().tolist() == [row["score"] / 2 for row in ROWS["score"]]


@pytest.mark.parametrize("value", [5.5, -0.1, math.inf, 1e300, 10**400, None])
def test_scores_that_no_row_can_have(value, data_of, tmp_path):
    file = write(tmp_path, lines_of("score", lambda row: value))
    assert complaint(lambda: ask_file(file, data_of("score"))).endswith("give a number from 0 to 5")


def test_tags(data_of, tmp_path):
    lines = lines_of("tags", lambda row: [{tag: 0.5, "O": 0.5} if tag != "O" else {"O": 1} for tag in row["tags"]])
    data = data_of("tags")
    found = answers(data, write(tmp_path, lines)).of(torch.tensor([2, 0]), 12).exp()
    for line, number in enumerate((2, 0)):
        tags = ROWS["tags"][number]["tags"]
        for word, tag in enumerate(tags):
            expected = torch.zeros(len(data.labels))
            expected[data.labels.index("O")] += 0.5
            expected[data.labels.index(tag)] += 0.5
            torch.testing.assert_close(found[line, word], expected)
        assert found[line, len(tags) :].isnan().all()


SURE = {"good": 1.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probabilities": None}, "no mapping from labels to probabilities"),
        ({"probabilities": {"great": 1.0}}, "names the label 'great', which is none of the data's: bad, fine, good"),
        ({"probabilities": {"good": 1.5}}, "'good' in probabilities of FILE line 3 is 1.5: give a number from 0 to 1"),
        ({"probabilities": {"good": "1"}}, "is '1': give a number from 0 to 1"),
        ({"probabilities": {"good": True}}, "is True: give a number from 0 to 1"),
        ({"probabilities": {"good": math.nan}}, "is nan: give a number from 0 to 1"),
        ({"probabilities": {"good": 0.5, "bad": 0.4}}, "probabilities of FILE line 3 add up to 0.9: "),
        ({"probabilities": {}}, "add up to 0: "),
        ({"text": 3}, "column 'text' of FILE line 3 is an int, not text"),
    ],
)
def test_a_line_that_is_wrong(change, said, data_of, tmp_path):
    lines = lines_of("single", lambda row: SURE)
    lines[2] |= change
    file = write(tmp_path, lines)
    message = complaint(lambda: ask_file(file, data_of("single")))
    assert said.replace("FILE", file) in message
    assert f"{file} line 3" in message
    assert not list((tmp_path / "cache").glob(".draft*"))


def test_keys_and_texts_that_are_missing_or_contradict_each_other(data_of, tmp_path):
    lines = lines_of("single", lambda row: SURE)
    ask = lambda lines: complaint(lambda: ask_file(write(tmp_path, lines), data_of("single")))  # noqa: E731
    assert "line 1 has no key 'probabilities'" in ask([{"text": "a"}])
    assert "line 1 has no column 'text'" in ask([{"probabilities": SURE}])
    assert "train[7] has no line of the same text in" in ask(lines[1:])
    assert ask(lines[1:6]).endswith("soft.jsonl (3 of 8 rows have none): add one for each, or leave the rows out")
    assert "line 9 has the text of line 1 and other soft labels" in ask(
        [*lines, {**lines[0], "probabilities": {"bad": 1}}]
    )
    ask_file(write(tmp_path, [*lines, lines[0], {"text": "of no row", "probabilities": SURE}]), data_of("single"))


def test_what_many_labels_and_tags_need_besides(data_of, tmp_path):
    file = write(tmp_path, lines_of("multi", lambda row: {"joy": 0.5}))
    assert "line 1 lacks the label 'fear': give each its probability" in complaint(
        lambda: ask_file(file, data_of("multi"))
    )
    file = write(tmp_path, lines_of("tags", lambda row: [{"O": 1}]))
    assert "line 1 is not a list of one mapping for each of its 8 words" in complaint(
        lambda: ask_file(file, data_of("tags"))
    )
    # what predict writes of words is the probability of the tag it chose
    file = write(tmp_path, lines_of("tags", lambda row: [0.9] * len(row["tokens"])))
    assert "probabilities of word 1 of" in complaint(lambda: ask_file(file, data_of("tags")))
    assert complaint(lambda: ask_file("none.jsonl", data_of("single"))) == (
        "file none.jsonl does not exist: correct the path"
    )
