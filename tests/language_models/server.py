"""A server on loopback that speaks the protocol of chat completions, charges, and fails where it is told to."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Responder = Callable[[dict[str, Any]], str]
"""What makes the text of a reply of the body of a request."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: Answer with this instead of a reply; nothing is charged.
        headers: Headers of that answer.
        text: Reply with this text instead of the right one, which is charged.
        body: Reply with this body, which is charged.
        cut: Cut the connection: `before` anything is charged, or `within` the reply that is.
        delay: Wait so long before the reply.
        drip: Wait so long before each byte of the reply, which is charged.
        halves: Wait so long before each half of the reply, which is charged.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    body: bytes | None = None
    cut: str | None = None
    delay: float = 0.0
    drip: float = 0.0
    halves: float = 0.0


class Server:
    """A server that is up; `respond` makes its replies.

    It honours `Idempotency-Key`: what it charged for under a key it replies with again, and charges nothing.

    Args:
        respond: Makes the text of a reply.
        faults: What goes wrong with the first requests, in their order; `None` is nothing.
        key: What requests must be authorised with.

    Attributes:
        requests: The bodies of all requests.
        headers: Their headers.
        charged: What was charged, by idempotency key: how often.
        replies: The bodies that were charged for, by key.
        tokens: The words of requests and of replies that were charged.
    """

    def __init__(self, respond: Responder, faults: list[Fault | None] | None = None, key: str | None = None) -> None:
        self.respond, self.key = respond, key
        self.faults = list(faults or [])
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.charged: dict[str, int] = {}
        self.replies: dict[str, bytes] = {}
        self.tokens = [0, 0]
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True

    @property
    def url(self) -> str:
        """What stands before `/chat/completions`."""
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def charge(self, key: str, body: dict[str, Any], fault: Fault) -> bytes:
        """The body of the reply, charged unless it was before."""
        with self.lock:
            if key not in self.replies:
                text = fault.text if fault.text is not None else self.respond(body)
                words = [sum(len(message["content"].split()) for message in body["messages"]), len(text.split())]
                self.replies[key] = fault.body if fault.body is not None else _completion(text, *words)
                self.charged[key] = self.charged.get(key, 0) + 1
                self.tokens = [had + more for had, more in zip(self.tokens, words, strict=True)]
            return self.replies[key]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.requests.append(body)
                server.headers.append(dict(self.headers))
                fault = (server.faults.pop(0) if server.faults else None) or Fault()
            if self.path != "/v1/chat/completions":
                return self.answer(404, _error("no such path"))
            if server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
                return self.answer(401, _error(f"wrong key {self.headers.get('Authorization')}"))
            if body["response_format"]["type"] != "json_schema":
                return self.answer(400, _error("no schema"))
            if fault.delay:
                time.sleep(fault.delay)
            if fault.status is not None:
                return self.answer(fault.status, _error("injected"), fault.headers)
            if fault.cut == "before":
                return self.cut()
            content = server.charge(self.headers["Idempotency-Key"], body, fault)
            if fault.cut == "within":
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                return self.cut()
            if fault.drip:
                return self.drip([bytes([byte]) for byte in content], fault.drip)
            if fault.halves:
                return self.drip([content[:9], content[9:]], fault.halves)
            return self.answer(200, content)

        def drip(self, parts: list[bytes], pause: float) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(sum(map(len, parts))))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked has gone
                for part in parts:
                    time.sleep(pause)
                    self.wfile.write(part)
                    self.wfile.flush()

        def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def cut(self) -> None:
            self.close_connection = True  # with a reset, as a machine that goes down sends it
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


def _completion(text: str, words_in: int, words_out: int) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": words_in, "completion_tokens": words_out}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@contextmanager
def served(respond: Responder, faults: list[Fault | None] | None = None, key: str | None = None) -> Iterator[Server]:
    """A server that is up until the end."""
    server = Server(respond, faults, key)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
