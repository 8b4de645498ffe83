"""Ctrl-C while libraries are imported ends the command, whatever catches what an import raises."""

from __future__ import annotations

import signal
import subprocess
import sys

from lightning_clf.cli.interrupts import importing

GREEDY = """
import os, signal, time
from lightning_clf.cli.interrupts import importing
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this process was started with
with importing():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except BaseException:
        pass
print("went on")
"""


def test_an_import_that_catches_everything_does_not_catch_it():
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped by Ctrl-C\n")


def test_a_handler_is_put_back_and_one_of_the_users_own_is_left_alone():
    own = signal.getsignal(signal.SIGINT)
    try:
        for handler in (signal.default_int_handler, lambda number, frame: None):
            signal.signal(signal.SIGINT, handler)
            with importing():
                is_left = signal.getsignal(signal.SIGINT) is handler
            assert is_left == (handler is not signal.default_int_handler)
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, own)
