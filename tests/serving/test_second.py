"""A server whose model has a cascade: who answers, and that nothing waits longer than it may."""

from __future__ import annotations

import dataclasses
import json
import socket
from contextlib import closing

import pytest

from lightning_clf.decision import Decision
from lightning_clf.language_models import Endpoint
from lightning_clf.language_models.cascaded import Cascaded
from lightning_clf.serving import Limits, Service
from tests.calibration.synthetic import CASCADE
from tests.inference.conftest import build
from tests.language_models.server import Fault, served
from tests.serving.conftest import Asked
from tests.serving.test_counters import samples

TEXTS = ["a great film", "so sad", "the film was a great joy"]


def good(body):
    return json.dumps({"label": "good"})


@pytest.fixture
def model(encoders):
    """A classifier whose cascade asks about the less sure two of three texts, and its own answers."""
    made = build("single", encoders("roberta"), 0)
    alone = made.predict(TEXTS)
    sureness = sorted(answer["probability"] for answer in alone)
    assert len(set(sureness)) == 3
    made.network.set_decision(Decision(cascade=dataclasses.replace(CASCADE, threshold=sum(sureness[1:]) / 2)))
    return made, alone


def answers_of(made, url, **limits):
    service = Service(Cascaded(made, Endpoint(url, "stub", timeout=0.5, tries=1)), Limits(max_wait_ms=0, **limits))
    ask = Asked(service)
    with closing(service):
        reply = ask({"inputs": TEXTS})
        assert reply.status == 200
        found = samples(ask.get("/metrics").body.decode())
        schema = ask.get("/openapi.json").json["paths"]["/predict"]["post"]["responses"]["200"]
    each = schema["content"]["application/json"]["schema"]["properties"]["outputs"]["items"]
    outputs = reply.json["outputs"]
    for answer in outputs:
        assert set(each["required"]) <= set(answer) <= set(each["properties"])
    counts = [
        int(found[f'lightning_clf_language_model_texts_total{{outcome="{name}"}}']) for name in ("answered", "failed")
    ]
    return outputs, counts


def test_the_unsure_are_asked_about(model):
    made, alone = model
    with served(good) as server:
        outputs, counts = answers_of(made, server.url)
        assert sorted(body["messages"][1]["content"] for body in server.requests) == sorted(
            text
            for text, answer in zip(TEXTS, alone, strict=True)
            if made.artefact.decision.cascade.asks(answer["probability"])
        )
    assert counts == [2, 0]
    for answer, own in zip(outputs, alone, strict=True):
        asked = made.artefact.decision.cascade.asks(own["probability"])
        assert answer["answered_by"] == ("language_model" if asked else "classifier")
        assert answer["label"] == ("good" if asked else own["label"])


def check_alone(outputs, alone, said):
    errors = [answer.pop("language_model_error") for answer in outputs if "language_model_error" in answer]
    assert len(errors) == 2
    assert all(said in error for error in errors)
    for answer, own in zip(outputs, alone, strict=True):
        assert answer.pop("answered_by") == "classifier"
        assert answer["label"] == own["label"]
        assert answer["probabilities"] == pytest.approx(own["probabilities"], abs=2e-6)


def test_with_nobody_there_it_answers_alone_and_says_so(model):
    made, alone = model
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outputs, counts = answers_of(made, f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert counts == [0, 2]
    check_alone(outputs, alone, "gave no reply")


def test_a_reply_that_is_late_is_not_waited_for(model):
    made, alone = model
    with served(good, [Fault(delay=0.4)] * 2) as server:
        outputs, counts = answers_of(made, server.url, reply_timeout=0.05)
    assert counts == [0, 2]
    check_alone(outputs, alone, "there was no reply within 0.05 seconds")
