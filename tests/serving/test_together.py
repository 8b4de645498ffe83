"""A server of several tasks: one answer a row, with that of each task that can read it."""

from __future__ import annotations

import json
import re

import pytest

from lightning_clf.inference import TaskClassifiers
from lightning_clf.serving import Limits, Service
from lightning_clf.serving.openapi import describe
from lightning_clf.serving.pages import try_page
from tests.inference.test_classifier import assert_alike
from tests.serving.conftest import Asked
from tests.several_tasks import untrained
from tests.tiny import CORPUS

TASKS = ("single", "tags", "pair")


@pytest.fixture
def model(classifier):
    return TaskClassifiers(untrained(classifier, *TASKS))


@pytest.fixture
def ask(model):
    service = Service(model, Limits(max_wait_ms=0))
    yield Asked(service)
    service.close()


def test_answers_are_those_of_predict(ask, model):
    rows = [
        CORPUS[0],
        {"text": CORPUS[1]},
        {"premise": CORPUS[2], "hypothesis": CORPUS[3]},
        {"text": CORPUS[2], "hypothesis": CORPUS[3]},
        {"sentence": CORPUS[4], "tokens": CORPUS[5].split()},
    ]
    reply = ask({"inputs": rows})
    assert reply.status == 200
    outputs = reply.json["outputs"]
    assert [list(answer) for answer in outputs] == [
        ["single", "tags"],
        ["single", "tags"],
        ["pair"],
        ["single", "tags", "pair"],
        ["single", "tags"],
    ]
    for answer, expected in zip(outputs, model.predict(rows), strict=True):
        for task in answer:
            assert_alike([answer[task]], [expected[task]])
    (words,) = ask({"input": CORPUS[5].split()}).json["outputs"]
    assert_alike([words["tags"]], [outputs[4]["tags"]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"txt": "a"}, "input 1 has a column 'txt', which no task reads: send for single a string, or an object such"),
        ({"hypothesis": "a"}, "input 1 is nothing that a task reads: send for single"),
        (3, "input 1 is nothing that a task reads"),
        ({"text": "a", "hypothesis": 3}, "task pair: column 'hypothesis' of input 1 is an int, not text"),
        ({"tokens": [1]}, "task tags: word 1 of input 1 is an int, not text"),
    ],
)
def test_a_row_that_cannot_be_read(ask, row, message):
    reply = ask({"inputs": [row]})
    assert reply.status == 422
    assert reply.error.startswith(message)


def test_a_text_of_too_many_words_is_refused_whichever_task_reads_it(classifier):
    service = Service(TaskClassifiers(untrained(classifier, *TASKS)), Limits(max_wait_ms=0, max_words=3))
    reply = Asked(service)({"input": {"text": "a b", "hypothesis": "a b c d"}})
    assert reply.error == "input 1 has 4 words: send at most 3 in a text"
    service.close()


def test_the_description_and_the_page_know_every_task(model):
    schema = describe(model, Limits())["paths"]["/predict"]["post"]
    answer = schema["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["outputs"]["items"]
    assert list(answer["properties"]) == list(TASKS)
    assert answer["required"] == []
    content = schema["requestBody"]["content"]["application/json"]
    row = content["schema"]["oneOf"][1]["properties"]["input"]["oneOf"][-1]
    assert set(row["properties"]) == {"text", "sentence", "premise", "hypothesis", "tokens"}
    assert list(content["example"]["inputs"][0]) == ["text", "hypothesis"]
    assert [list(found) for found in model.predict(content["example"]["inputs"])] == [list(TASKS)]
    page, _ = try_page(model, "a")
    shown = json.loads(re.search(r'id="model">(.*?)</script>', page)[1])
    assert shown["columns"] == ["text", "hypothesis"]
    assert {name: task["kind"] for name, task in shown["tasks"].items()} == {
        "single": "single",
        "tags": "tags",
        "pair": "single",
    }
