"""Keeps freed memory in the process, so that the next training step does not ask the system for it again.

A training step frees what it has kept for the backward pass, and glibc returns a free end of the heap above a few
megabytes to the system. The next step gets the same pages back, zeroed, with a page fault for every 4 kB: a quarter of
a compiled step of ScaleGNN or DWS (benchmarks/README.md).
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

#: Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: Bytes at the free end of the heap that are kept.
KEPT = 2**30
#: Bytes from which a block is a mapping of its own; earlier versions of glibc refuse more than the second.
MAPPED = (2**28, 2**25)
#: Who sets one of these has decided: glibc reads them when a process starts.
VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> bool:
    """Raises glibc's limits for this process, once.

    Returns:
        Whether they were set: on Linux with glibc, unless an environment variable sets them.
    """
    if sys.platform != "linux" or any(name in os.environ for name in VARIABLES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return any(mallopt(M_MMAP_THRESHOLD, size) for size in MAPPED) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
