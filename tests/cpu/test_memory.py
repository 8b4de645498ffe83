"""Memory that a process frees stays with it, and weights do not stay in files."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lightning_clf import SingleLabelClassifier
from lightning_clf.cpu import memory, take_memory
from tests.training import make_data, make_trainer

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


@pytest.fixture
def mapped(tmp_path: Path) -> nn.Module:
    """A layer whose weights lie in a mapped file."""
    file = tmp_path / "weights.safetensors"
    save_file({"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}, file)
    layer = nn.Linear(3, 2)
    tensors = load_file(file)
    layer.weight.data, layer.bias.data = tensors["weight"], tensors["bias"]
    return layer


def is_in_a_file(weight: torch.Tensor) -> bool:
    return any(begin <= weight.data_ptr() < end for begin, end in memory._mapped_files())


LINUX = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux says what is mapped")


@LINUX
def test_weights_of_a_mapped_file_come_to_memory_of_their_own(mapped: nn.Linear) -> None:
    weight = mapped.weight
    assert is_in_a_file(weight)
    take_memory(mapped)
    assert mapped.weight is weight
    assert not is_in_a_file(weight)
    assert torch.equal(weight, torch.arange(6.0).view(2, 3))
    assert weight.requires_grad
    place = weight.data_ptr()
    take_memory(mapped)
    assert weight.data_ptr() == place


@LINUX
def test_frozen_weights_and_those_that_share_their_memory_stay(mapped: nn.Linear) -> None:
    mapped.bias.requires_grad_(requires_grad=False)
    mapped.register_buffer("view", mapped.weight.data.t())
    take_memory(mapped)
    assert is_in_a_file(mapped.bias)
    assert mapped.view.data_ptr() == mapped.weight.data_ptr()


def test_a_weight_that_has_no_shape_yet_is_left_alone() -> None:
    lazy = nn.LazyLinear(2)
    take_memory(lazy)
    assert lazy.has_uninitialized_params()


def test_a_fit_has_its_weights_in_memory_of_their_own(encoders: Callable[[str], Path], tmp_path: Path) -> None:
    module, data = SingleLabelClassifier(str(encoders("bert"))), make_data("single")
    make_trainer(tmp_path, max_steps=1).fit(module, data)
    assert not any(is_in_a_file(weight) for weight in module.parameters())
