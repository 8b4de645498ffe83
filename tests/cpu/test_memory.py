"""Memory that a process frees stays with it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from lightning_clf.cpu import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print([faults() for _ in range(20)][10:])  # the heap takes a few to have a place that fits
"""


def run(how: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    faults: list[int] = json.loads(done.stdout)
    return faults


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is told")
def test_the_next_tensor_takes_the_place_of_the_last() -> None:
    assert min(run("map")) > 10  # 48 MB anew each time, of which huge pages would be 23
    assert max(run("keep")) < 10


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_clf.cpu import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not memory.keep_freed_memory()
