"""How the C library hands out memory to threads, for processes that run for months."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# How often what is free is given back. It takes some 10 ms, in which no thread gets memory.
GIVE_BACK_EVERY_S = 600.0

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


def give_back() -> bool:
    """Give the pages that are free in all heaps back to the system; False where none were.

    By itself glibc gives back only what is free at the end of a heap. A configuration that was
    read anew or a broker that came back leaves holes, of which those after it fill only some.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except AttributeError:
        # musl does so by itself.
        return False


class GivingBack:
    """Gives free memory back every ten minutes; `now_s` is a clock that never goes back."""

    def __init__(
        self, now_s: Callable[[], float], give_back: Callable[[], object] = give_back
    ) -> None:
        self._now_s, self._give_back = now_s, give_back
        self._last_s = now_s()

    def work(self) -> None:
        """To be called from time to time."""
        now_s = self._now_s()
        if now_s - self._last_s >= GIVE_BACK_EVERY_S:
            self._last_s = now_s
            self._give_back()
