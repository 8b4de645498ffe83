"""Servers in this process, asked without a network, and servers of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from lightning_clf.serving import Limits, Service, make_app
from tests.inference.conftest import classifier  # noqa: F401 (a fixture)


class Reply(NamedTuple):
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        (line,) = self.json.values()
        assert list(self.json) == ["error"]
        assert "\n" not in line
        return line


JSON = {"content-type": "application/json"}


class Asked:
    """An application that is called as a server calls it.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.app = make_app(service, "runs/a model")

    async def send(self, body: Any, path: str = "/predict", method: str = "POST", headers: dict | None = None) -> Reply:
        """One request, of JSON, or bytes, or a list of bytes that come one by one, `None` for those that never do."""
        chunks = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        self.unread = list(chunks)
        messages: list[dict] = []

        async def receive() -> dict:
            chunk = self.unread.pop(0)
            if chunk is None:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": chunk, "more_body": bool(self.unread)}

        async def send(message: dict) -> None:
            messages.append(message)

        pairs = [(key.encode(), value.encode()) for key, value in (JSON if headers is None else headers).items()]
        scope = {"type": "http", "method": method, "path": path, "headers": pairs, "query_string": b"", "root_path": ""}
        await self.app(scope, receive, send)
        start, *bodies = messages
        found = {key.decode(): value.decode() for key, value in start["headers"]}
        return Reply(start["status"], found, b"".join(message.get("body", b"") for message in bodies))

    def __call__(self, body: Any = b"", path: str = "/predict", method: str = "POST", headers: Any = None) -> Reply:
        return asyncio.run(self.send(body, path, method, headers))

    def get(self, path: str) -> Reply:
        return self(path=path, method="GET", headers={})


@pytest.fixture
def asked(classifier) -> Iterator[Callable[..., Asked]]:  # noqa: F811
    """Applications by the name of a classifier and limits."""
    made: list[Service] = []

    def make(name: str, **limits: Any) -> Asked:
        made.append(Service(classifier(name), Limits(**{"max_wait_ms": 0, **limits})))
        return Asked(made[-1])

    yield make
    for service in made:
        with closing(service):
            pass
