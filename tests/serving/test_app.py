"""Requests in, answers out: those of `predict`, or one line that says what is wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.serving.body import _unique
from lightning_clf.serving.refusal import RefusedError
from tests.inference.conftest import LABELS, SENTENCE
from tests.inference.test_classifier import TEXTS, assert_alike, rows
from tests.texts import repeatable, words

DEEP = 100_000


@pytest.mark.parametrize("name", LABELS)
def test_answers_are_those_of_predict(name, asked, classifier):
    ask, given_rows = asked(name), rows(name)
    expected = classifier(name).predict(given_rows)
    reply = ask({"inputs": given_rows})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert_alike(reply.json["outputs"], expected)
    assert_alike(ask({"input": given_rows[3]}).json["outputs"], expected[3:4])


@pytest.mark.parametrize("name", ["single", "multi", "tags", "words"])
def test_a_row_may_be_a_string(name, asked, classifier):
    assert_alike(
        asked(name)({"inputs": [SENTENCE, *TEXTS]}).json["outputs"], classifier(name).predict([SENTENCE, *TEXTS])
    )


def test_a_key_that_is_there_twice_is_found_in_one_pass():
    """Else one body of a hundred thousand keys would keep all others waiting for minutes."""

    class Key(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other):
            Key.compared += 1
            return str.__eq__(self, other)

    keys = [Key(number) for number in range(1000)]
    with pytest.raises(RefusedError, match="the key '999' twice"):
        _unique([(key, 0) for key in [*keys, Key(999)]])
    assert Key.compared < 10 * len(keys)


@pytest.mark.parametrize("name", ["tags", "words"])
def test_words_may_be_in_an_array_or_a_column_or_a_text(name, asked, classifier):
    column = {"tags": "tokens", "words": "words"}[name]
    split = SENTENCE.split()
    replies = asked(name)({"inputs": [split, {column: split}, {"text": SENTENCE}]}).json["outputs"]
    assert_alike(replies, classifier(name).predict([{column: split}, {column: split}, SENTENCE]))


def test_the_request_in_the_guide_is_answered(asked):
    guide = (Path(__file__).parents[2] / "docs" / "after_training.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ (curl .*)$", guide, flags=re.MULTILINE)
    _, _, header, _, body, url = shlex.split(line)
    name, _, value = header.partition(": ")
    reply = asked("single")(body.encode(), path=urlsplit(url).path, headers={name.lower(): value})
    assert (reply.status, len(reply.json["outputs"])) == (200, 2)


def test_a_text_may_be_in_the_column_of_its_role(asked, classifier):
    reply = asked("single")({"inputs": [{"text": "joy"}, {"sentence": "joy"}]})
    assert_alike(reply.json["outputs"], classifier("single").predict(["joy", "joy"]))


@pytest.mark.parametrize("name", ["single", "tags"])
def test_answers_are_those_of_predict_whatever_comes_at_once(name, asked, classifier):
    ask = asked(name, max_batch_tokens=48, max_wait_ms=1)
    texts = st.lists(words, max_size=12).map(" ".join)

    @repeatable
    @given(st.lists(st.lists(texts, min_size=1, max_size=5), min_size=1, max_size=6))
    def check(requests):
        async def all_at_once():
            return await asyncio.gather(*(ask.send({"inputs": request}) for request in requests))

        expected = [classifier(name).predict_read([classifier(name).inputs.read(text, "") for text in request], 32)
                    for request in requests]  # fmt: skip
        for reply, answers in zip(asyncio.run(all_at_once()), expected, strict=True):
            assert_alike(reply.json["outputs"], answers)

    check()
    assert ask.service.queue.depth == 0


MALFORMED = [
    ("single", b"", 400, "is not JSON (Expecting value at line 1 column 1)"),
    ("single", b"\xff\xfe", 400, "is not UTF-8 (byte 1)"),
    ("single", b'{"inputs": ["caf\xe9"]}', 400, "is not UTF-8 (byte 17)"),
    ("single", b'\xef\xbb\xbf{"inputs": ["a"]}', 400, "is not JSON (Expecting value"),
    ("single", b'{"inputs": ["a"]', 400, "is not JSON (Expecting ',' delimiter at line 1 column 17)"),
    ("single", b'{"inputs": ["a"]} x', 400, "is not JSON (Extra data"),
    ("single", b"{'inputs': ['a']}", 400, "is not JSON (Expecting property name"),
    ("single", b'{"inputs": ["a\n"]}', 400, "is not JSON (Invalid control character"),
    ("single", b'{"inputs": [NaN]}', 400, "NaN, which is not JSON"),
    ("single", b'{"inputs": [-Infinity]}', 400, "-Infinity, which is not JSON"),
    ("single", b'{"inputs": ["a"], "inputs": ["b"]}', 400, "has the key 'inputs' twice"),
    ("single", b'{"inputs": [' + b"9" * 5000 + b"]}", 400, "a number too long"),
    ("single", b"[" * DEEP + b"]" * DEEP, 400, "nested too deep"),
    ("single", b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400, "nested too deep"),
    ("single", ["a"], 422, "is a JSON array, not an object"),
    ("single", "a", 422, "is a JSON string, not an object"),
    ("single", None, 422, "is a JSON null, not an object"),
    ("single", {}, 422, "must have one of the keys 'inputs' and 'input', and has 0"),
    ("single", {"inputs": ["a"], "input": "a"}, 422, "and has 2"),
    ("single", {"texts": ["a"]}, 422, "the key 'texts', which is unknown"),
    ("single", {"inputs": ["a"], "top_k": 3}, 422, "the key 'top_k', which is unknown"),
    ("single", {"inputs": "a"}, 422, "'inputs' is a JSON string, not an array"),
    ("single", {"inputs": {"a": 1}}, 422, "'inputs' is a JSON object, not an array"),
    ("single", {"inputs": []}, 422, "holds 0 texts: send from 1 to 4"),
    ("single", {"inputs": ["a"] * 5}, 422, "holds 5 texts: send from 1 to 4"),
    ("single", {"inputs": ["a", 3]}, 422, "input 2 is a JSON number: send a string, or an object such as"),
    ("single", {"inputs": ["a", None]}, 422, "input 2 is a JSON null"),
    ("single", {"inputs": [True]}, 422, "input 1 is a JSON boolean"),
    ("single", {"inputs": [["a"]]}, 422, "input 1 is a JSON array"),
    ("single", {"inputs": [{}]}, 422, "input 1 has no column 'text': send a string, or an object such as"),
    ("single", {"inputs": [{"text": "a", "b": 1}]}, 422, "input 1 has a column 'b', which is unknown"),
    ("single", {"inputs": [{"sentence": "a", "text": "b"}]}, 422, "a column 'text', which is unknown"),
    ("single", {"inputs": ["a", {"text": 3}]}, 422, "column 'text' of input 2 is an int, not text"),
    ("single", b'{"inputs": ["\\ud800"]}', 422, "input 1 holds half a surrogate pair"),
    ("single", b'{"inputs": [{"\\ud800": "a"}]}', 422, "input 1 has a column '\\ud800', which is unknown"),
    ("single", {"inputs": ["a", "b " * 101]}, 422, "input 2 has 101 words: send at most 100"),
    ("pair", {"inputs": ["a"]}, 422, 'send an object such as {"premise": "…", "hypothesis": "…"}'),
    ("pair", {"inputs": [{"premise": "a"}]}, 422, "input 1 has no column 'hypothesis'"),
    ("pair", {"input": {"premise": "a", "hypothesis": None}}, 422, "'hypothesis' of input 1 is empty (null)"),
    ("pair", {"inputs": [{"premise": "a", "hypothesis": "b " * 101}]}, 422, "input 1 has 101 words"),
    ("tags", {"inputs": [["a", 3]]}, 422, "word 2 of input 1 is an int"),
    ("tags", {"inputs": [{"tokens": "a"}]}, 422, "column 'tokens' must hold a list of words"),
    ("tags", {"inputs": [{"tokens": ["a"], "text": "a"}]}, 422, "input 1 has both words and a text"),
    ("tags", {"inputs": [{"tokens": ["a"], "tags": ["O"]}]}, 422, "input 1 has a column 'tags', which is unknown"),
    ("tags", {"inputs": [{}]}, 422, "input 1 has no column 'tokens'"),
    ("tags", {"inputs": [["a"] * 101]}, 422, "input 1 has 101 words"),
    ("tags", {"inputs": ["," * 101]}, 422, "input 1 has 101 words"),
    ("single", b'{"inputs": ["' + b"a" * 1_000_000 + b'"]}', 413, "more than 1000000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "status", "said"), MALFORMED, ids=lambda value: str(value)[:40])
def test_what_is_malformed_is_refused_in_one_line(name, body, status, said, asked):
    ask = asked(name, max_texts=4, max_words=100)
    reply = ask(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (reply.status, said in reply.error) == (status, True), reply.error
    assert ": " in reply.error  # what to do
    assert ask.service.queue.depth == 0


@pytest.mark.parametrize(("headers", "said"), [
    ({}, "Content-Type is missing: send application/json"),
    ({"content-type": "text/plain"}, "'text/plain'"),
    ({"content-type": "application/x-www-form-urlencoded"}, "send application/json"),
    ({"content-type": "application/json; charset=latin-1"}, "latin-1"),
    ({"content-type": "application/json", "content-encoding": "gzip"}, "is compressed"),
])  # fmt: skip
def test_only_json_is_read(headers, said, asked):
    reply = asked("single")({"input": "joy"}, headers=headers)
    assert (reply.status, said in reply.error) == (415, True)


@pytest.mark.parametrize(
    "media", ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf-8"']
)
def test_json_may_be_announced_in_any_way(media, asked):
    assert asked("single")({"input": "joy"}, headers={"content-type": media}).status == 200


def test_a_body_is_read_no_further_than_its_limit(asked):
    ask = asked("single", max_body_bytes=100)
    assert ask([b"a" * 60] * 10).status == 413
    assert len(ask.unread) == 8
    fits = json.dumps({"input": "a" * 80}).encode()
    fits += b" " * (100 - len(fits))
    assert ask([fits[:50], fits[50:]]).status == 200
    assert ask(fits + b" ").status == 413


def test_a_body_that_does_not_come_is_not_waited_for(asked):
    reply = asked("single", read_timeout=0.05)([b'{"input"', None])
    assert (reply.status, "within 0.05 seconds" in reply.error) == (408, True)
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(("method", "path", "status", "said"), [
    ("GET", "/nowhere", 404, "there is no such path: use POST /predict"),
    ("POST", "/predict/", 404, "there is no such path"),
    ("GET", "/predict", 405, "GET is not for this path: use POST"),
    ("POST", "/health", 405, "POST is not for this path: use GET"),
])  # fmt: skip
def test_other_paths_and_methods(method, path, status, said, asked):
    reply = asked("single")(path=path, method=method)
    assert (reply.status, said in reply.error) == (status, True)


class Blocked:
    """A classifier's computation that waits until the event loop lets it go."""

    def __init__(self, service, monkeypatch):
        import threading

        self.go = threading.Event()
        compute = service.classifier.answer_batch

        def answer_batch(encoded, read):
            assert self.go.wait(30)
            return compute(encoded, read)

        monkeypatch.setattr(service.classifier, "answer_batch", answer_batch)


def test_a_full_queue_is_told_and_gets_free_again(asked, monkeypatch):
    ask = asked("single", queue=5, max_texts=4)
    blocked = Blocked(ask.service, monkeypatch)

    async def check():
        first = asyncio.create_task(ask.send({"inputs": ["a", "b", "c"]}))
        while ask.service.queue.depth < 3:
            await asyncio.sleep(0.001)
        full = await ask.send({"inputs": ["a", "b", "c"]})
        second = asyncio.create_task(ask.send({"inputs": ["a", "b"]}))
        while ask.service.queue.depth < 5:
            await asyncio.sleep(0.001)
        unread = await ask.send([None])  # refused before its body is read
        assert "lightning_clf_queue_depth 5\n" in ask_metrics.exposition(ask.service.queue.depth)
        blocked.go.set()
        return full, unread, await first, await second

    ask_metrics = ask.service.counters
    *refused, first, second = asyncio.run(check())
    for reply in refused:
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.error == "the queue of 5 texts is full: try again in a second"
    assert (first.status, second.status, ask.service.queue.depth) == (200, 200, 0)
    assert ask({"inputs": ["a"] * 4}).status == 200


def test_a_model_that_fails_is_said_and_logged_and_the_server_lives_on(asked, monkeypatch, caplog):
    ask = asked("single")
    with monkeypatch.context() as patch:
        patch.setattr(ask.service.classifier, "answer_batch", lambda encoded, read: [0 / 0])
        with caplog.at_level(logging.ERROR):
            reply = ask({"input": "a secret"})
    assert (reply.status, "the model failed" in reply.error) == (500, True)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
    assert ask.get("/health").status == 200
    assert ask({"input": "joy"}).status == 200


def test_an_answer_that_is_no_number_is_a_failure(asked, monkeypatch):
    ask = asked("single")
    monkeypatch.setattr(ask.service.classifier, "answer_batch", lambda encoded, read: [{"score": float("nan")}])
    assert ask({"input": "joy"}).status == 500


def test_health(asked):
    ask = asked("single")
    assert (ask.get("/health").status, ask.get("/health").json) == (200, {"status": "ready"})
    ask.service.is_draining = True
    assert (ask.get("/health").status, ask.get("/health").json) == (503, {"status": "draining"})
    ask.service.is_draining = False
    ask.service.close()
    assert (ask.get("/health").status, ask.get("/health").json) == (503, {"status": "failed"})
    assert ask({"input": "joy"}).status == 503


def test_a_request_is_logged_where_it_is_asked_for(asked, capsys):
    from lightning_clf.serving import make_app

    ask = asked("single")
    ask({"input": "joy"})
    assert capsys.readouterr().err == ""
    ask.app = make_app(ask.service, "a", log_requests=True)
    ask({"input": "joy"})
    ask({"input": 3})
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("POST /predict 200 ")
    assert second.startswith("POST /predict 422 ")
