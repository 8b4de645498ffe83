"""An endpoint against a real server on loopback, with faults injected."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lightning_clf.errors import InputError
from lightning_clf.language_models import Endpoint, Message, Prompt
from lightning_clf.language_models.pace import Pace, retry_after
from tests.language_models.server import Fault, served

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}},
    "required": ["label"],
    "additionalProperties": False,
}
PROMPT = Prompt((Message("system", "Judge."), Message("user", "a great joy")), SCHEMA, max_tokens=32)


def good(body):
    return json.dumps({"label": "good"})


def endpoint(server, **options):
    return Endpoint(server.url, "stub", first_wait=0.001, **options)


def test_what_goes_out_and_what_comes_back():
    with served(good) as server:
        reply = endpoint(server).ask(PROMPT)
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.fault) == ('{"label": "good"}', 4, 2, "")
    (body,) = server.requests
    assert body == {
        "model": "stub",
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "a great joy"}],
        "max_tokens": 32,
        "seed": int(PROMPT.digest("stub")[:7], 16),
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
        },
    }
    assert server.headers[0]["Idempotency-Key"] == PROMPT.digest("stub")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=500),
        Fault(status=503),
        Fault(cut="before"),
        Fault(cut="within"),
        Fault(delay=0.6),
        Fault(drip=0.02),
    ],
    ids=str,
)
def test_what_may_go_well_later_is_tried_again_and_charged_once(fault):
    with served(good, [fault, fault]) as server:
        assert endpoint(server, timeout=0.3).ask(PROMPT).text == '{"label": "good"}'
        assert len(server.requests) == 3
        assert server.charged == {PROMPT.digest("stub"): 1}


def test_a_reply_that_is_late_but_whole_is_taken():
    with served(good, [Fault(halves=0.4)]) as server:
        assert endpoint(server, timeout=0.6).ask(PROMPT).text == '{"label": "good"}'
    assert len(server.requests) == 1


def test_a_server_that_stays_down_is_one_line():
    with served(good, [Fault(status=500)] * 9) as server, pytest.raises(InputError) as error:
        endpoint(server, tries=3).ask(PROMPT)
    assert len(server.requests) == 3
    assert str(error.value) == (f"endpoint {server.url}/chat/completions answered 500 (injected), 3 times in a row")


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(InputError, match=r"gave no reply .*, 2 times in a row"):
            Endpoint(url, "stub", tries=2, first_wait=0.001).ask(PROMPT)


def test_one_try_is_one():
    with served(good, [Fault(status=500)]) as server, pytest.raises(InputError, match=r"500 \(injected\), once$"):
        endpoint(server, tries=1).ask(PROMPT)


@pytest.mark.parametrize(
    ("status", "suspect"), [(400, "the address, the model or the prompt"), (404, "the address or the model")]
)
def test_what_is_wrong_stays_wrong_and_is_not_tried_again(status, suspect):
    with served(good, [Fault(status=status)]) as server, pytest.raises(InputError) as error:
        endpoint(server).ask(PROMPT)
    assert len(server.requests) == 1
    assert str(error.value).endswith(f"answered {status} (injected): correct {suspect}")


def test_a_long_rest_is_a_person_s_to_decide():
    fault = Fault(status=429, headers={"Retry-After": "3600"})
    with served(good, [fault]) as server, pytest.raises(InputError, match="wants 3600 s of rest"):
        endpoint(server).ask(PROMPT)


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(monkeypatch):
    monkeypatch.setenv("STUB_KEY", "sk-very-secret")
    with served(good, key="sk-very-secret") as server:
        asked = endpoint(server, key_variable="STUB_KEY")
        assert asked.ask(PROMPT).text == '{"label": "good"}'
        server.key = "another"
        with pytest.raises(InputError) as error:
            asked.ask(PROMPT)
    assert str(error.value).endswith("answered 401 (wrong key Bearer ***): correct the key in STUB_KEY")
    assert "secret" not in repr(asked)


@pytest.mark.parametrize(("key", "said"), [("", "is not set"), ("a\nb", "holds what is no key"), ("ü", "is no key")])
def test_a_key_that_is_none(key, said, monkeypatch):
    monkeypatch.setenv("STUB_KEY", key)
    with pytest.raises(InputError, match=said) as error:
        Endpoint("http://127.0.0.1:1/v1", "stub", key_variable="STUB_KEY")
    assert not key or key not in str(error.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host/v1", "http://", "https://host/v1?key=1", "http://h:x/"])
def test_an_address_that_is_none(url):
    with pytest.raises(InputError, match="is no address"):
        Endpoint(url, "stub")


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "localhost:8000/v1", "host/v1"])
def test_an_address_without_a_scheme(url):
    with pytest.raises(InputError, match="http:// or https:// is missing before it"):
        Endpoint(url, "stub")


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InputError, match="name an environment variable") as error:
        Endpoint("https://me:secret@host/v1", "stub")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>", "the body is no chat completion"),
        (b"[]", "the body is no chat completion"),
        (b'{"choices": []}', "the body is no chat completion"),
        (b'{"choices": [{"message": {"content": null}}]}', "the model refused, or gave no text"),
        (b'{"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}', "it was cut off at max_tokens"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_reply_that_was_paid(body, fault):
    with served(good, [Fault(body=body)]) as server:
        reply = endpoint(server).ask(PROMPT)
    assert reply.fault == fault
    assert reply.tokens_in == endpoint(server).count_input(PROMPT)
    assert reply.tokens_out >= 1
    assert len(server.requests) == 1


def test_input_is_counted_by_bytes():
    prompt = Prompt((Message("user", "ü" * 30),), {})
    assert Endpoint("http://127.0.0.1:1/v1", "stub").count_input(prompt) == 21 + 16  # ⌈62 bytes / 3⌉, two messages


def test_requests_are_spaced_and_held(monkeypatch):
    now, slept = [100.0], []
    monkeypatch.setattr("lightning_clf.language_models.pace.time.monotonic", lambda: now[0])
    pace = Pace(per_minute=120)
    monkeypatch.setattr(pace, "sleep", slept.append)
    for _ in range(3):
        pace.wait()
    pace.hold(10.0)
    pace.wait()
    pace.hold(3.0)  # less than what is asked already
    pace.wait()
    assert slept == [0.0, 0.5, 1.0, 10.0, 10.5]


def test_waits_end_when_it_is_given_up():
    with served(good, [Fault(status=500)]) as server:
        asked = Endpoint(server.url, "stub", first_wait=60.0)
        asked.give_up()
        with pytest.raises(InputError, match="given up"):
            asked.ask(PROMPT)


def test_retry_after_is_seconds_or_a_date():
    assert [retry_after(header) for header in (None, "7", "soon", "-1")] == [0.0, 7.0, 0.0, 0.0]
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < retry_after(later) <= 90
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0.0
