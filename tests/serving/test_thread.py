"""A server in a thread of a program of somebody's own."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from contextlib import closing

from lightning_clf.serving import Limits
from lightning_clf.serving.server import bind, serve


def test_a_server_answers_in_another_thread_and_leaves_signals_alone(classifier):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    listener = bind("127.0.0.1", 0)
    listener.listen()  # whoever asks before the thread is so far waits
    threading.Thread(target=serve, args=(classifier("single"), "a model", listener, Limits()), daemon=True).start()
    with closing(http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)) as connection:
        connection.request("POST", "/predict", json.dumps({"inputs": ["one"]}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert (response.status, len(json.loads(response.read())["outputs"])) == (200, 1)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
