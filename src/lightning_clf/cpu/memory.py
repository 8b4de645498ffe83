"""What a CPU's allocator does with memory that was freed."""

from __future__ import annotations

import contextlib
import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # what malloc.h calls these
_MOST = 2**31 - 1  # bytes that may lie free at the heap's end before they are given back: what fits the type


def keep_freed_memory() -> bool:
    """Have glibc keep what this process frees, for what it allocates next.

    By default each large tensor is a mapping of its own, given back when it is freed; the next step maps it again, and
    the kernel fills every page with zeros at the first touch: some 100 MB a step of a small encoder, the gradient of
    the embeddings alone being 47 MB. Kept, the process holds what it needed at most, and somewhat more, as tensors of
    many sizes do not fill each other's places. It holds for the process, and cannot be taken back.

    Returns:
        Whether there is a glibc to tell.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _MOST))
    return False
