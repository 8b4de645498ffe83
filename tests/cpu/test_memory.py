"""Memory that a process frees stays with it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_clf.cpu import memory

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


PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE = """
import re, resource, sys
from pathlib import Path
import torch
from lightning_clf.cpu import keep_freed_memory
if sys.argv[1] != "all":
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))  # address space, of which the imports take a few GB
    import os
    sysconf = os.sysconf
    os.sysconf = lambda name: 2**33 if name == "SC_PHYS_PAGES" else sysconf(name)  # so much is on no machine
assert keep_freed_memory() and keep_freed_memory()
held = [torch.ones(16_000_000) for _ in range(2)]
print(re.search(r"AnonHugePages: *([0-9]+)", Path("/proc/self/smaps_rollup").read_text()).group(1))
"""


@pytest.mark.skipif(not PAGES.exists() or "[madvise]" not in PAGES.read_text(), reason="of who asks for huge pages")
@pytest.mark.parametrize(("may_have", "least", "most"), [("all", 100_000, 140_000), ("some", 0, 1_000)])
def test_what_comes_after_is_in_huge_pages(may_have: str, least: int, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", HUGE, may_have], capture_output=True, text=True, check=True)
    assert least <= int(done.stdout) <= most  # kB, of 128 MB


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not memory.keep_freed_memory.__wrapped__()
