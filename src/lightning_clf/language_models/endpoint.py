"""A language model behind HTTP, at any address that speaks the protocol of OpenAI's chat completions."""

from __future__ import annotations

import json
import math
import os
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from lightning_clf.errors import InputError, check_number, need, reason
from lightning_clf.language_models.cost import BYTES_A_TOKEN
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.pace import Pace, retry_after
from lightning_clf.language_models.prompt import Prompt, Reply

if TYPE_CHECKING:
    import httpx2

_TOKENS_A_MESSAGE = 8  # the marks around it
_LATER = frozenset({408, 409, 425, 429})  # and 5xx: what may go well a little later
_LONGEST_WAIT = 300.0  # seconds a server may ask to wait for; beyond it a person decides


class NoReplyError(InputError):
    """An endpoint gives no reply for now: what to do then is for those to say who know what can be gone on with."""


class _Answer(NamedTuple):
    """What a server sent.

    Attributes:
        status: The status.
        wait: The header `Retry-After`.
        body: The body, not compressed any more.
        encoding: How its text is encoded.
    """

    status: int
    wait: str | None
    body: bytes
    encoding: str


class Endpoint(LanguageModel):
    """`POST {url}/chat/completions` with a JSON schema as `response_format`.

    Each request carries the digest of what it asks as `Idempotency-Key`, so that a server that honours it charges once
    for what it replied although the connection broke; others may charge again, which nobody here can know.

    Args:
        url: What stands before `/chat/completions`, such as `https://host/v1`.
        model: The name of the model there.
        key_variable: The environment variable that holds the key; `None` sends none. The key is kept in memory only.
        timeout: Seconds to wait for a connection, for each part of a reply's head, and after it for the whole body.
        tries: How often a request goes out before it is given up.
        requests_per_minute: How many may go out; `None` is no limit.
        concurrency: How many wait for a reply at a time.
        first_wait: Seconds before the second try, which double from try to try.

    Raises:
        InputError: If an argument is out of its bounds, the variable is not set, or a package is missing.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_variable: str | None = None,
        timeout: float = 60.0,
        tries: int = 6,
        requests_per_minute: float | None = None,
        concurrency: int = 4,
        first_wait: float = 1.0,
    ) -> None:
        need("jsonschema", "a language model needs", "llm")
        httpx = need("httpx2", "an endpoint needs", "llm")
        self.name = model
        self.concurrency = check_number("concurrency", concurrency, least=1, whole=True)
        self._tries = check_number("tries", tries, least=1, whole=True)
        self._first_wait = check_number("first_wait", first_wait, least=0.0)
        if requests_per_minute is not None:
            check_number("requests_per_minute", requests_per_minute, above=0.0)
        self._pace = Pace(requests_per_minute)
        self._url, self._key_variable = _checked(url, httpx), key_variable
        self._key = None if key_variable is None else _key(key_variable)
        self._timeout = check_number("timeout", timeout, above=0.0)
        self._client: httpx2.Client = httpx.Client(
            timeout=self._timeout,
            headers={} if self._key is None else {"Authorization": f"Bearer {self._key}"},
            limits=httpx.Limits(max_connections=concurrency),
        )

    def ask(self, prompt: Prompt) -> Reply:
        """Ask once; after a cut connection, a timeout, 429 or 5xx again, after a while."""
        import httpx2

        key, said = prompt.digest(self.name), ""
        body = {
            "model": self.name,
            "messages": [message._asdict() for message in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "seed": int(key[:7], 16),  # some servers draw alike unless they are told to draw otherwise
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": dict(prompt.schema)},
            },
        }
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        for number in range(self._tries):
            if number:
                self._pace.sleep(self._first_wait * 2 ** (number - 1) * random.uniform(0.5, 1.0))
            self._pace.wait()
            try:
                answer = self._post(body, key)
            except httpx2.RequestError as error:
                said = f"gave no reply ({self._redacted(reason(error))})"
                continue
            if answer.status == httpx2.codes.OK:
                return self._reply(answer, prompt)
            said = f"answered {answer.status}{self._redacted(_message(answer.body))}"
            if answer.status not in _LATER and answer.status < 500:
                raise InputError(f"endpoint {self._url} {said}: correct {self._suspect(answer.status)}")
            wait = retry_after(answer.wait)
            if wait > _LONGEST_WAIT:
                raise NoReplyError(f"endpoint {self._url} {said} and wants {wait:.0f} s of rest")
            self._pace.hold(wait)
        tried = "once" if self._tries == 1 else f"{self._tries} times in a row"
        raise NoReplyError(f"endpoint {self._url} {said}, {tried}")

    def count_input(self, prompt: Prompt) -> int:
        """By bytes, since the tokenizer is the server's; the schema is read by the model too."""
        contents = [*(message.content for message in prompt.messages), json.dumps(prompt.schema)]
        size = sum(len(content.encode()) for content in contents)
        return math.ceil(size / BYTES_A_TOKEN) + _TOKENS_A_MESSAGE * len(contents)

    def give_up(self) -> None:
        """End all waits; a request that is out is waited for, since it is paid."""
        self._pace.give_up()

    def _post(self, body: dict[str, Any], key: str) -> _Answer:
        """Send a request and read what comes, part by part: the client's own timeout begins anew with each of them."""
        import httpx2

        parts: list[bytes] = []
        with self._client.stream("POST", self._url, json=body, headers={"Idempotency-Key": key}) as response:
            started, is_late = time.monotonic(), False
            for part in response.iter_bytes():
                if is_late:  # there is more still; what was late and whole is paid for, and taken
                    raise httpx2.ReadTimeout("the reply drips in and was not whole in time", request=response.request)
                parts.append(part)
                is_late = time.monotonic() - started > self._timeout
            wait, encoding = response.headers.get("Retry-After"), response.encoding or "utf-8"
            return _Answer(response.status_code, wait, b"".join(parts), encoding)

    def _reply(self, answer: _Answer, prompt: Prompt) -> Reply:
        """What a body says; one that is no completion is a reply that cannot be used, and counted by its length."""
        try:
            body = json.loads(answer.body)
            choice = body["choices"][0]
            text, end = choice["message"]["content"], choice.get("finish_reason")
            fault = "it was cut off at max_tokens" if end == "length" else ""
            if not isinstance(text, str):
                text, fault = "", "the model refused, or gave no text"
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            text = answer.body.decode(answer.encoding, errors="replace")
            body, fault = {}, "the body is no chat completion"
        used = body.get("usage") or {}
        return Reply(
            text,
            _count(used, "prompt_tokens", self.count_input(prompt)),
            _count(used, "completion_tokens", min(prompt.max_tokens, len(text.encode()) // BYTES_A_TOKEN + 1)),
            fault,
        )

    def _suspect(self, status: int) -> str:
        if status in (401, 403):
            return "the key" if self._key_variable is None else f"the key in {self._key_variable}"
        return "the address or the model" if status == 404 else "the address, the model or the prompt"

    def _redacted(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, "***")


def _count(used: Any, name: str, otherwise: int) -> int:
    value = used.get(name) if isinstance(used, dict) else None
    return value if type(value) is int and value >= 0 else otherwise


def _message(content: bytes) -> str:
    """What a server says of an error, in brackets, where it says it as the protocol has it."""
    try:
        message = json.loads(content)["error"]["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return f" ({reason(ValueError(message))})"


def _checked(url: str, httpx: Any) -> str:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError(f"endpoint {url!r} is no address ({error}): give one such as https://host/v1") from error
    if parts.userinfo:  # which is not repeated
        raise InputError("the endpoint's address holds a key or a password: name an environment variable that holds it")
    if "://" not in url:
        raise InputError(f"endpoint {url!r} is no address to build on: http:// or https:// is missing before it")
    if parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise InputError(f"endpoint {url!r} is no address to build on: give one such as https://host/v1")
    return f"{url.rstrip('/')}/chat/completions"


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"environment variable {variable} is not set: put the endpoint's key in it, or name another")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"environment variable {variable} holds what is no key: correct it")
    return key
