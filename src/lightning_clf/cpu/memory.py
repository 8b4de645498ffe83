"""Where a process has its memory: what becomes of what it freed, in which pages it is, and whose."""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import functools
import mmap
import os
import platform
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # what malloc.h calls these
_NEVER = -1  # gives none of the heap's end back


@functools.cache
def keep_freed_memory() -> bool:
    """Have glibc keep what this process frees, for what it allocates next, and take it in huge pages.

    By default each large tensor is a mapping of its own, given back when it is freed; the next step maps it again, and
    the kernel fills every page with zeros at the first touch: some 100 MB a step of a small encoder, the gradient of
    the embeddings alone being 47 MB. Kept, the process holds what it needed at most, and somewhat more, as tensors of
    many sizes do not fill each other's places.

    What comes after this is in pages of 2 MB rather than 4 kB, where Linux gives them to whom asks (`madvise` in
    `/sys/kernel/mm/transparent_hugepage/enabled`): a step goes through some hundred thousand small pages, and looks up
    where each of them is. So it is best called before a network is loaded.

    It holds for the process, and cannot be taken back; further calls do nothing.

    Returns:
        Whether there is a glibc to tell.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        is_kept = bool(libc.mallopt(_MMAP_MAX, 0)) and bool(libc.mallopt(_TRIM_THRESHOLD, _NEVER))
        if is_kept:
            _ask_for_huge_pages(libc)
        return is_kept
    return False


def _ask_for_huge_pages(libc: ctypes.CDLL) -> None:
    """Have the heap grow by half of this machine's memory, of which pages that nobody touches take none, and advise it.

    The heap's later growth would be without the advice, and so is grown once. Where that much may not be had, as under
    `ulimit -v`, nothing changes.
    """
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.sbrk.argtypes = [ctypes.c_ssize_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    end = libc.sbrk(0)
    libc.free(libc.malloc(os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 2))
    begin = -(-end // mmap.PAGESIZE) * mmap.PAGESIZE
    if (size := libc.sbrk(0) - begin) > 0:
        libc.madvise(begin, size, mmap.MADV_HUGEPAGE)


def take_memory(module: nn.Module) -> None:
    """Have weights that lie in a mapped file move to memory of their own, as PyTorch lays it out.

    `safetensors` maps its files. There a weight begins anywhere, and is in small pages even once it was written to.
    Besides, such a file must not change.

    Args:
        module: Whose weights. Frozen ones stay, as processes share the pages of a file; so do those that share their
            memory with others.
    """
    known = Counter(_place(tensor) for tensor in (*module.parameters(), *module.buffers()) if _is_plain(tensor))
    files = _mapped_files()
    for weight in module.parameters():
        if weight.requires_grad and _is_plain(weight) and known[_place(weight)] == 1:
            address = weight.data_ptr()
            before = bisect.bisect_right(files, (address, sys.maxsize)) - 1
            if before >= 0 and address < files[before][1]:
                weight.data = weight.data.clone()


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is PyTorch's own, with memory on the CPU: not one that is yet to be shaped, for instance."""
    return type(tensor) in (nn.Parameter, Tensor) and tensor.device.type == "cpu" and tensor.layout == torch.strided


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _mapped_files() -> list[tuple[int, int]]:
    """From where to where files are mapped in this process, in order; none where Linux does not say so."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    regions = [(fields[0].split("-"), fields[4]) for fields in map(str.split, lines)]
    return sorted((int(begin, 16), int(end, 16)) for (begin, end), inode in regions if inode != "0")
