"""`serve`: what it refuses before it serves. Servers themselves are in tests/serving/test_server.py."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from tests.cli.conftest import says


@pytest.mark.parametrize(("words", "said"), [
    (["--port", "65536"], ("--port: 65536 is not a port, a whole number from 0 to 65535", "--help")),
    (["--port", "-1"], ("--port: -1 is not a port",)),
    (["--queue", "0"], ("--queue: 0 is not a whole number from 1 up",)),
    (["--queue", "3"], ("--queue 3 has no room for a request of --max-texts 64", "raise")),
    (["--max-wait-ms", "-1"], ("--max-wait-ms is -1", "give a number from 0")),
    (["--max-wait-ms", "soon"], ("--max-wait-ms: invalid float value: 'soon'",)),
    (["--max-batch-tokens", "8"], ("--max-batch-tokens 8 is less than one text may have, 32 in this model", "give 32")),
    (["--precision", "16-true"], ("--precision: invalid choice: '16-true'",)),
    (["--device", "nonsense"], ("device 'nonsense'", "choose")),
    (["--host", "203.0.113.1"], ("--host 203.0.113.1 --port 0 cannot be served at", "choose another port")),
    (["--model", "/nowhere"], ("/nowhere does not exist",)),
])  # fmt: skip
def test_options_that_are_not_right_are_named(words, said, complaint, trained):
    says(complaint("serve", "--model", trained("single") / "best", "--port", 0, *words), *said)


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(complaint):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says(complaint("serve", "--model", "/nowhere", "--port", port), f"--port {port} cannot be served at", "choose")


def test_a_missing_package_is_told_with_the_extra_that_brings_it(complaint, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("lightning_clf.cli.serve.find_spec", lambda name: None if name == "uvicorn" else found(name))
    says(complaint("serve", "--model", "/nowhere"), "not installed (uvicorn)", "pip install 'lightning-clf[serve]'")
