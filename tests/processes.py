"""Test files that are run as scripts, and start further processes themselves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run_script(module: str, *words: object, timeout: int = 240) -> None:
    """Run a test file with these words; its processes meet on loopback, and all must end well."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    threads = {"OMP_NUM_THREADS": "1"}  # each, since they share the cores
    command = [sys.executable, "-m", module, *map(str, words)]
    environment = {**os.environ, **address, **threads}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-3000:]
