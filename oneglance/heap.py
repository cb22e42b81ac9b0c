"""How the C library hands out memory to threads, for processes that run for months."""

from __future__ import annotations

import ctypes

# Of <malloc.h>.
_M_ARENA_MAX = -8


def share_heaps(count: int = 2) -> bool:
    """Let all threads share so many heaps of the C library; False where it cannot be told.

    glibc gives each new thread a heap of its own, up to eight for each core, and memory that is
    free in one serves no other. Readers of cameras and parts of a daemon that is renewed come and
    go, and each leaves some megabytes behind. Call it before any thread is started.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, count))
    except AttributeError:
        # musl has one heap for all threads.
        return False
