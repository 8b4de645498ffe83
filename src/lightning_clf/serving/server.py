"""The server: a socket, connections that may not dawdle, and an end at which nothing that was taken is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from lightning_clf.errors import InputError, reason
from lightning_clf.inference import Predictor
from lightning_clf.serving.app import make_app
from lightning_clf.serving.limits import Limits
from lightning_clf.serving.rows import tasks_of
from lightning_clf.serving.service import Service


def bind(host: str, port: int) -> socket.socket:
    """Take an address; nobody is answered before `serve`.

    Args:
        host: A name or address of this machine.
        port: The port; 0 takes any that is free.

    Raises:
        InputError: If it is taken, or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"--host {host} --port {port} cannot be served at ({reason(error)}): choose another port, or an address of "
            "this machine"
        ) from error
    return found


def serve(
    classifier: Predictor, name: str, listener: socket.socket, limits: Limits, *, log_requests: bool = False
) -> bool:
    """Answer requests until SIGTERM or SIGINT; then finish what was taken.

    Python hands signals to the main thread alone. In another thread this answers as long as the process lives: start a
    daemon, which does not keep a process that is done, or, to finish what was taken, a process of its own.

    Args:
        classifier: What answers.
        name: What the model is called.
        listener: What `bind` took.
        limits: How much is taken, and how it is batched.
        log_requests: Write a line to standard error for every request to `/predict`.

    Returns:
        Whether all that was taken was answered, in the time that there is for it.

    Raises:
        InputError: If the limits do not go with the model, or another process has come to listen at the address.
    """
    service = Service(classifier, limits)
    config = Config(
        make_app(service, name, log_requests=log_requests),
        http=_Connection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="critical",  # what goes wrong is said by the application
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=max(1, round(limits.read_timeout)),
        timeout_graceful_shutdown=max(1, round(limits.drain_timeout)),
    )
    config.load()
    server = _Server(config, service, f"serving {name} ({_said(classifier)})", _url(listener))
    # before and after the server handles signals itself, they are not to end the process by force
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, server.end) for number in numbers}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return not service.is_cut_short


class _Server(Server):
    """A server that says when it listens, and lets the application know when it stops."""

    def __init__(self, config: Config, service: Service, greeting: str, url: str) -> None:
        super().__init__(config)
        self._service = service
        self._greeting = greeting
        self._url = url

    def end(self, number: int, frame: FrameType | None) -> None:
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self.force_exit:  # from Python 3.12 on sockets that listened are closed once their connections are
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except OSError as error:  # of two that have bound the same port one can listen
            raise InputError(f"{self._url} cannot be served at ({reason(error)}): choose another port") from error
        print(f"{self._greeting} on {self._url}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.is_draining = True
        await super().shutdown(sockets)


class _Connection(H11Protocol):
    """A connection that is closed where a head does not come or an answer is not taken in time, and errs in JSON."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._set_deadline()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_deadline()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # in the middle of an answer
            self.transport.close()
            return
        content = json.dumps({"error": "this is not HTTP/1.1: send requests as a client library does"}).encode()
        headers: list[tuple[str, str]] = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Connection", "close"),
        ]
        events: list[Any] = [h11.Response(status_code=400, headers=headers), h11.Data(content), h11.EndOfMessage()]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.config.timeout_keep_alive, self._abort_if_idle)

    def _abort_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete or self.flow.write_paused:
            self.transport.abort()  # to close would be to wait for ever for a client that does not read


def _said(classifier: Predictor) -> str:
    said = []
    for name, one in tasks_of(classifier).items():
        labels = one.labels
        what = "score" if labels.kind == "score" else f"{labels.kind}, {len(labels)} labels"
        said.append(f"{name}: {what}" if name else what)
    return "; ".join(said)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
