"""What a CPU's allocator does with memory that was freed, and in which pages it takes what it needs."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import platform
from collections import Counter

from torch import nn

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
    """Have weights on the CPU in memory of their own, as PyTorch lays it out.

    Those of a `safetensors` file are where that file is mapped, begin anywhere, and are in small pages even once they
    were written to. Besides, a mapped file must not change.

    Args:
        module: Whose weights. Those that share their memory with others are left where they are.
    """
    weights = [weight for weight in module.parameters() if weight.device.type == "cpu"]
    known = Counter(weight.untyped_storage().data_ptr() for weight in weights)
    for weight in weights:
        storage = weight.untyped_storage()
        if known[storage.data_ptr()] == 1 and storage.nbytes() == weight.nbytes:
            weight.data = weight.data.clone()
