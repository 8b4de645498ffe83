"""Rows in, answers out: in order, the same in any batch, one a row and one a word."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from lightning_clf.inference import Classifier
from lightning_clf.schemes import spans
from tests.inference.conftest import COLUMNS, LABELS, SENTENCE
from tests.tiny import CORPUS
from tests.training import complaint

TEXTS = [CORPUS[0], "joy", "", " ".join(CORPUS[:3]), "a dull story", "\t \n", "Zoë’s naïve café 🎉!", CORPUS[5]]


def rows(name: str) -> list[dict]:
    """Rows with the columns a classifier was trained on."""
    columns = COLUMNS[name]
    if "tokens" in columns:
        return [{columns["tokens"]: text.split()} for text in TEXTS]
    values = {"text": TEXTS, "text_pair": TEXTS[::-1]}
    return [
        dict(zip(columns.values(), row, strict=True)) for row in zip(*(values[role] for role in columns), strict=True)
    ]


def assert_alike(one, other):
    """Two lists of answers are the same but for the last digits of numbers."""
    assert len(one) == len(other)
    for answer, expected in zip(one, other, strict=True):
        assert answer.keys() == expected.keys()
        for key, value in answer.items():
            if isinstance(value, float | dict) or key == "probabilities":
                assert value == pytest.approx(expected[key], abs=1e-5), key
            else:
                assert value == expected[key], key


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_answers_keep_the_order_and_do_not_depend_on_the_batch(name, batch_size, classifier):
    model, given = classifier(name), rows(name)
    alone = [model.predict([row])[0] for row in given]
    assert len({json.dumps(answer) for answer in alone}) > 5  # so that an answer in another's place shows
    assert_alike(model.predict(given, batch_size=batch_size), alone)


def test_no_rows_no_answers(classifier):
    assert classifier("single").predict([]) == []


def test_one_label(classifier):
    for answer in classifier("single").predict(rows("single")):
        assert list(answer["probabilities"]) == ["bad", "fine", "good"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=2e-6)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
        assert answer["probability"] == answer["probabilities"][answer["label"]]


def test_any_labels(classifier):
    answers = classifier("multi").predict(rows("multi"))
    for answer in answers:
        assert answer["labels"] == [name for name, value in answer["probabilities"].items() if value >= 0.5]
    assert {len(answer["labels"]) for answer in answers} != {1}


def test_scores_lie_in_the_range(classifier):
    model = classifier("score")
    with torch.inference_mode():
        found = [answer["score"] for answer in model.predict(rows("score"))]
    assert all(0 <= score <= 5 for score in found)
    assert len(set(found)) > 2


def test_a_string_is_answered_with_characters(classifier):
    (answer,) = classifier("tags").predict([SENTENCE])
    assert "".join(answer["tokens"]) == "".join(SENTENCE.split())
    assert answer["entities"]
    for entity in answer["entities"]:
        surface = SENTENCE[entity["char_start"] : entity["char_end"]]
        assert surface == entity["text"]
        assert "".join(surface.split()) == "".join(answer["tokens"][entity["start"] : entity["end"]])
        assert surface == surface.strip()


@pytest.mark.parametrize("row", [SENTENCE, {"text": SENTENCE}, {"tokens": SENTENCE.split()}])
def test_entities_are_the_spans_of_the_tags(row, classifier):
    (answer,) = classifier("tags").predict([row])
    found = [(entity["type"], entity["start"], entity["end"]) for entity in answer["entities"]]
    assert found == [tuple(span) for span in spans(answer["tags"], "IOB2")]
    assert len(answer["tags"]) == len(answer["tokens"]) == len(answer["probabilities"])


def test_words_are_answered_with_their_words(classifier):
    (answer,) = classifier("tags").predict([{"tokens": ["New York", "and", "", "Paris"]}])
    assert answer["tokens"] == ["New York", "and", "", "Paris"]
    assert all("char_start" not in entity for entity in answer["entities"])
    assert [entity["text"] for entity in answer["entities"]] == [
        " ".join(answer["tokens"][entity["start"] : entity["end"]]) for entity in answer["entities"]
    ]


def test_tags_that_are_no_spans_have_no_entities(classifier):
    (answer,) = classifier("words").predict([{"words": ["a", "man", "plays"]}])
    assert set(answer) == {"tokens", "tags", "probabilities"}
    assert set(answer["tags"]) <= {"DT", "NN", "VB"}


@pytest.mark.parametrize(("name", "outside"), [("tags", "O"), ("words", "DT")])
def test_words_the_window_does_not_reach_are_outside_and_unsure(name, outside, classifier):
    model = classifier(name)
    words = ["Paris", *CORPUS[0].split()] * 5
    encoded = model.inputs.encode([model.inputs.read({COLUMNS[name]["tokens"]: words}, "")])[0]
    seen = set(encoded["word_ids"]) - {-1}
    assert 0 < len(seen) < len(words) == 55
    assert len(encoded["input_ids"]) == 24
    (answer,) = model.predict([{COLUMNS[name]["tokens"]: words}])
    for place, (tag, probability) in enumerate(zip(answer["tags"], answer["probabilities"], strict=True)):
        assert (probability is not None) == (place in seen)
        assert tag == outside or place in seen
    assert all(0 < answer["probabilities"][place] <= 1 for place in seen)


@pytest.mark.parametrize("name", LABELS)
def test_nothing_to_read_is_answered(name, classifier):
    columns = COLUMNS[name]
    empty = {column: [] if role == "tokens" else "" for role, column in columns.items()}
    (answer,) = classifier(name).predict([empty])
    if "tokens" in columns:
        assert {key: value for key, value in answer.items() if key != "entities"} == {
            "tokens": [], "tags": [], "probabilities": []
        }  # fmt: skip
        assert classifier(name).predict([""]) == [answer]
    else:
        assert answer


@pytest.mark.parametrize(("name", "row", "message"), [
    ("single", {"txt": "a", "id": 1}, "row 2 has no column 'sentence', only 'txt', 'id': add it, or name another with"),
    ("single", {}, "row 2 has no column 'sentence', only none: add it"),
    ("single", {"sentence": None}, "column 'sentence' of row 2 is empty (null), not text"),
    ("single", {"sentence": 3}, "column 'sentence' of row 2 is an int, not text"),
    ("single", {"sentence": "a\ud800"}, "column 'sentence' of row 2 holds half a surrogate pair (character 2)"),
    ("pair", {"premise": "a"}, "row 2 has no column 'hypothesis', only 'premise'"),
    ("pair", {"hypothesis": "a"}, "row 2 has no column 'premise', only 'hypothesis'"),
    ("pair", "a", "row 2 has no column 'hypothesis'"),
    ("tags", {"words": ["a"]}, "row 2 has no column 'text' or 'tokens', only 'words'"),
    ("tags", {"tokens": "a b"}, "row 2: column 'tokens' must hold a list of words"),
    ("tags", {"tokens": ["a", 1]}, "word 2 of row 2 is an int, not text"),
    ("tags", {"tokens": ["a", "\udc00"]}, "word 2 of row 2 holds half a surrogate pair"),
])  # fmt: skip
def test_a_row_that_cannot_be_read(name, row, message, classifier):
    assert complaint(lambda: classifier(name).predict([rows(name)[0], row])).startswith(message)


def test_columns_by_other_names(classifier):
    model = classifier("pair")
    expected = model.predict([{"premise": "a great joy", "hypothesis": "a dull story"}])
    assert model.predict([{"text": "a great joy", "hypothesis": "a dull story", "label": "no"}]) == expected
    renamed = Classifier(model.artefact, {"text": "one", "text_pair": "two"})
    assert renamed.predict([{"one": "a great joy", "two": "a dull story"}]) == expected
    assert renamed.predict([{"one": "a dull story", "two": "a great joy"}]) != expected
    assert "'one'" in complaint(lambda: renamed.predict([{"text": "a", "two": "b"}]))
    words = Classifier(classifier("tags").artefact, {"tokens": "w"})
    assert words.predict([{"w": ["Paris"]}]) == classifier("tags").predict([{"tokens": ["Paris"]}])


def test_predicting_leaves_the_mode_of_the_network(classifier):
    model = classifier("single")
    for training in (True, False):
        model.network.train(training)
        first, second = model.predict(TEXTS), model.predict(TEXTS)
        assert first == second  # no dropout
        assert {module.training for module in model.network.modules()} == {training}
        assert complaint(lambda: model.predict([{}]))
        assert model.network.training is training


@pytest.mark.parametrize("name", LABELS)
def test_bfloat16_answers_nearly_the_same(name, classifier):
    model = copy.deepcopy(classifier(name))
    for weight in model.network.parameters():
        weight.data.div_(15)  # back to the size of trained ones
    exact, less = model.predict(rows(name)), model.to(dtype=torch.bfloat16).predict(rows(name))
    assert exact != less
    for answer, expected in zip(less, exact, strict=True):
        assert answer.keys() == expected.keys()
        for key in {"probabilities", "score"} & expected.keys():
            assert answer[key] == pytest.approx(expected[key], abs=0.01)
