"""A server of its own on loopback: under load, under fire, and at its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lightning_clf.inference import load_classifier
from tests.inference.test_classifier import TEXTS, assert_alike
from tests.serving.test_app import MALFORMED

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]
CONNECTIONS = 64
READ_TIMEOUT = 3


class Running:
    """A server in a process of its own.

    Args:
        process: The process, which has said where it listens.
        port: The port.
    """

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        with closing(self.connect()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def raw(self, *parts: bytes) -> tuple[int, dict]:
        """What is answered to these bytes, on a connection of their own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for part in parts:
                connection.sendall(part)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, json.loads(response.read())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and the rest of what is said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


def ask(connection: http.client.HTTPConnection, inputs: list) -> tuple[int, dict]:
    """One request on a connection that is kept."""
    connection.request("POST", "/predict", json.dumps({"inputs": inputs}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def head(*lines: str, length: int | None = None) -> bytes:
    """The head of a request to /predict."""
    all_lines = ["POST /predict HTTP/1.1", "Host: here", "Content-Type: application/json", *lines]
    if length is not None:
        all_lines.append(f"Content-Length: {length}")
    return ("\r\n".join(all_lines) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory) -> Path:
    """An export."""
    folder = tmp_path_factory.mktemp("served") / "model"
    classifier("single").artefact.save(folder)
    return folder


@pytest.fixture
def start(folder) -> Iterator[Callable[..., Running]]:
    """Start a server on a free port, with these options."""
    processes = []

    def run(*options: object) -> Running:
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        words = ["serve", "--model", folder, "--port", 0, *options]
        command = [sys.executable, "-m", "lightning_clf", *map(str, words)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        said = process.stderr.readline()
        found = re.fullmatch(rf"serving {folder} \(single, 3 labels\) on http://127\.0\.0\.1:(\d+)\n", said)
        assert found, said + process.stderr.read()
        return Running(process, int(found[1]))

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def refused() -> list[tuple[str, tuple[bytes, ...], int]]:
    """What must be refused: a name, the bytes, the status."""
    bodies = [body if isinstance(body, bytes) else json.dumps(body).encode() for _, body, _, _ in MALFORMED]
    found = [
        (str(case[1])[:40], (head(length=len(body)) + body,), case[2])
        for case, body in zip(MALFORMED, bodies, strict=True)
        if case[0] == "single"
    ]
    large, long = b'{"input": "' + b"a" * 10_000_000 + b'"}', json.dumps({"input": "word " * 100_000}).encode()
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    return [
        *found,
        ("10 MB", (head(length=len(large)), large), 413),
        ("100,000 words", (head(length=len(long)), long), 422),
        ("chunks over the limit", (head("Transfer-Encoding: chunked"), *[chunk] * 20, b"0\r\n\r\n"), 413),
        ("no end of chunks", (head("Transfer-Encoding: chunked"), *[chunk] * 20), 413),
        ("a size that is none", (head("Transfer-Encoding: chunked"), b"zz\r\n"), 400),
        ("no length", (head("Content-Length: -1"),), 400),
        ("two lengths", (head("Content-Length: 1", length=2),), 400),
        ("no HTTP", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",), 400),
        ("no method", (b"predict\r\n\r\n",), 400),
        ("a large head", (head("X: " + "a" * 200_000),), 400),
        ("no body", (head(),), 400),
        ("half a body", (head(length=100) + b'{"input": ',), 408),
        ("text", (b'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n""',), 415),
    ]  # fmt: skip


def test_under_load_and_under_fire(start, folder):
    server = start(
        "--max-texts", 4, "--max-words", 100, "--max-batch-tokens", 256, "--read-timeout", READ_TIMEOUT
    )  # fmt: skip
    texts = [*TEXTS, *(" ".join(TEXTS[index:]) for index in range(4))]
    expected = dict(zip(texts, load_classifier(folder).predict(texts), strict=True))
    over = threading.Event()

    def client(number: int) -> int:
        count = 0
        with closing(server.connect()) as connection:
            while not over.is_set():
                inputs = [texts[(number + count + more) % len(texts)] for more in range(1 + (number + count) % 4)]
                status, answers = ask(connection, inputs)
                assert status == 200, answers
                assert_alike(answers["outputs"], [expected[text] for text in inputs])
                count += 1
        return count

    cases = refused()
    assert len(cases) >= 40
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        clients = [pool.submit(client, number) for number in range(CONNECTIONS)]
        try:
            for name, parts, status in cases:
                answer = server.raw(*parts)
                assert answer[0] == status, (name, answer)
                assert list(answer[1]) == ["error"], name
                assert ": " in answer[1]["error"], name
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
                slow.sendall(b"POST /predict HTTP/1.1\r\nHost:")  # and no more
                assert slow.recv(100) == b""
        finally:
            over.set()
        counts = [client.result() for client in clients]
    assert all(counts)
    assert server.get("/health") == (200, b'{"status":"ready"}')
    metrics = server.get("/metrics")[1].decode()
    assert 'status="5' not in metrics
    assert f'lightning_clf_requests_total{{status="200"}} {sum(counts)}\n' in metrics
    assert "lightning_clf_queue_depth 0\n" in metrics
    assert int(re.search(r"batches_total (\d+)", metrics)[1]) < sum(counts)  # requests shared batches
    assert server.end() == (0, "")


def test_what_was_taken_is_answered_at_the_end(start, folder):
    server = start("--max-wait-ms", 6000, "--max-batch-tokens", 1_000_000)
    expected = load_classifier(folder).predict(TEXTS)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, server.connect(), TEXTS) for _ in range(16)]
        deadline = time.monotonic() + 30
        while f"lightning_clf_queue_depth {16 * len(TEXTS)}\n" not in server.get("/metrics")[1].decode():
            assert time.monotonic() < deadline
        assert not any(request.done() for request in asked)
        assert server.end() == (0, "")
        for request in asked:
            status, answers = request.result()
            assert status == 200
            assert_alike(answers["outputs"], expected)
    with pytest.raises(ConnectionRefusedError):
        server.connect().connect()


def test_what_the_time_for_the_end_is_too_short_for_is_told_and_the_code_is_one(start):
    server = start("--max-wait-ms", 60_000, "--max-batch-tokens", 1_000_000, "--drain-timeout", 1)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, server.connect(), TEXTS[:2]) for _ in range(2)]
        deadline = time.monotonic() + 30
        while "lightning_clf_queue_depth 4\n" not in server.get("/metrics")[1].decode():
            assert time.monotonic() < deadline
        code, said = server.end()
        assert code == 1
        assert said == "error: requests were given up at the end, which took more than --drain-timeout 1 s\n"
        refusal = (503, {"error": "the server is ending: send the request to another"})
        assert [request.result() for request in asked] == [refusal] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_the_end_of_a_load_no_answer_is_cut_off_and_none_is_lost(number, start):
    server = start("--log-requests")
    answered = threading.Semaphore(0)

    def client() -> tuple[int, type]:
        count = 0
        with closing(server.connect()) as connection:
            while True:
                try:
                    status, _ = ask(connection, TEXTS[:2])
                except (ConnectionError, http.client.HTTPException) as error:
                    return count, type(error)
                assert status == 200
                count += 1
                answered.release()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        clients = [pool.submit(client) for _ in range(CONNECTIONS)]
        for _ in range(4 * CONNECTIONS):
            assert answered.acquire(timeout=60)
        code, said = server.end(number)
        assert code == 0
        counts, ends = zip(*(client.result() for client in clients), strict=True)
        # not a byte of an answer, never a part of one
        assert {*ends} <= {
            http.client.RemoteDisconnected, ConnectionRefusedError, ConnectionResetError, BrokenPipeError
        }  # fmt: skip
        # and every request that was taken has come to an answer
        assert [line.split()[:3] for line in said.splitlines()] == [["POST", "/predict", "200"]] * sum(counts)
