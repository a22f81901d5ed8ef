"""Let the process keep the memory that it frees, so that the next step does not ask the system for it again.

glibc maps every buffer of some megabytes anew and gives it back at once; a step of an optimization does that hundreds
of times, and the system clears each page. That is a sixth to a half of a step on a CPU. The command keeps what it has
until it ends, which changes neither its peak nor any result. A library does not decide that for a program that uses it:
only the command line does.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
MAPPED_FROM = 1 << 30  # bytes: smaller buffers come from what the process has
KEPT = 2**31 - 1  # bytes at the end of the heap that are not given back: the most that an int holds


def keep_freed_memory() -> bool:
    """Whether the allocator could be told so: on Linux with glibc."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, MAPPED_FROM) and mallopt(M_TRIM_THRESHOLD, KEPT))
