"""Keep the runtime's one line of no news off standard error, and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Written by native code when a process first runs a model; no switch of the runtime turns it off.
NO_NEWS = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."

_lock = threading.Lock()


@contextmanager
def without_no_news() -> Iterator[None]:
    """Hold back what anything in this process writes to standard error, and pass it on at the end.

    All but NO_NEWS comes out, in its order. For the first run of a model: whatever kills the
    process within takes its last words with it.
    """
    with _lock:
        try:
            shown = os.dup(2)
        except OSError:
            # There is no standard error.
            yield
            return
        held = os.memfd_create("stderr", os.MFD_CLOEXEC)
        try:
            os.dup2(held, 2)
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            os.lseek(held, 0, os.SEEK_SET)
            # A standard error on a full disk, or that nobody reads, must not keep a door shut.
            with suppress(OSError), os.fdopen(held, "rb") as lines:
                for line in lines:
                    if line.strip() != NO_NEWS:
                        os.write(2, line)
