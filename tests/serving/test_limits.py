"""Limits that contradict each other or the model are an error before anything is served."""

from __future__ import annotations

import socket

import pytest

from lightning_clf.errors import InputError
from lightning_clf.serving import Limits, Service, bind, serve


@pytest.mark.parametrize(("limits", "said"), [
    ({"queue": 10}, "--queue 10 has no room for a request of --max-texts 64: raise"),
    ({"max_texts": 0}, "--max-texts is 0: give 1 or more"),
    ({"max_wait_ms": -1.0}, "--max-wait-ms is -1: give a number from 0"),
    ({"max_wait_ms": float("nan")}, "--max-wait-ms is nan"),
    ({"read_timeout": 0.0}, "--read-timeout is 0: give a number above 0"),
    ({"drain_timeout": float("inf")}, "--drain-timeout is inf"),
])  # fmt: skip
def test_numbers_out_of_bounds(limits, said):
    with pytest.raises(InputError) as error:
        Limits(**limits)
    assert said in str(error.value)


def test_a_batch_has_room_for_a_text_of_the_window(classifier):
    assert [Limits().batch_tokens(window, on_cpu=True) for window in (128, 1024)] == [512, 1024]
    assert [Limits().batch_tokens(window, on_cpu=False) for window in (128, 16384)] == [8192, 16384]
    assert Limits(max_batch_tokens=600).batch_tokens(600, on_cpu=True) == 600
    with pytest.raises(InputError) as error:
        Service(classifier("single"), Limits(max_batch_tokens=23))
    assert "--max-batch-tokens 23 is less than one text may have, 24 in this model: give 24 or more" in str(error.value)


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host", "é" * 70])
def test_an_address_of_another_machine(host):
    with pytest.raises(InputError) as error:
        bind(host, 0)
    assert f"--host {host} --port 0 cannot be served at (" in str(error.value)


def test_a_port_where_another_listens_meanwhile(classifier):
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", first.getsockname()[1]) as second:
        first.listen()
        with pytest.raises(InputError) as error:
            serve(classifier("single"), "a", second, Limits())
        port = first.getsockname()[1]
    assert f"http://127.0.0.1:{port} cannot be served at (" in str(error.value)
    assert "choose another port" in str(error.value)


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError) as error:
            bind("127.0.0.1", port)
    assert f"--port {port} cannot be served at (" in str(error.value)
    assert "choose another port" in str(error.value)
