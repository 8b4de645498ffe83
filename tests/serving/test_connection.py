"""Connections whose clients do not read, and a server that is to end at once."""

from __future__ import annotations

import asyncio
import signal
import socket
from types import SimpleNamespace

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from lightning_clf.serving.server import _Connection, _Server

SIZE = 32 * 2**20  # bytes, more than a kernel keeps
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answer(scope, receive, send):
    """An application whose answer is large."""
    headers = [(b"content-length", str(SIZE).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"a" * SIZE})


def config(**options) -> Config:
    return Config(answer, http=_Connection, ws="none", lifespan="off", log_config=None, **options)


@pytest.mark.parametrize("requests", [1, 2])  # the second of which waits until the first is read
def test_a_client_that_does_not_read_keeps_no_connection(requests):
    async def check() -> None:
        state, lost = ServerState(), asyncio.Event()

        class Told(_Connection):
            def connection_lost(self, exc):
                super().connection_lost(exc)
                lost.set()

        settings = config(timeout_keep_alive=1)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Told(settings, state, {}), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            await loop.run_in_executor(None, client.sendall, requests * REQUEST)
            await asyncio.wait_for(lost.wait(), 30)
        server.close()
        await asyncio.gather(*state.tasks)
        assert not state.connections

    asyncio.run(check())


def test_a_second_interrupt_ends_connections():
    ended = []

    class Connection:
        transport = SimpleNamespace(abort=lambda: ended.append(1))

    server = _Server(config(), None, "", "")
    server.server_state.connections.add(Connection())
    server.handle_exit(signal.SIGINT, None)
    assert not ended
    server.handle_exit(signal.SIGINT, None)
    assert ended == [1]
