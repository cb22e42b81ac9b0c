"""SIGTERM and SIGINT as a clean stop, for as long as a block runs."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# `timeout -s INT` sends each signal twice, to its child and to the whole group: what follows the
# first so soon is the same wish. No finger is as fast.
SAME_WISH_S = 0.5


@contextmanager
def stop_on_signals(
    stop: Callable[[], None],
    clock_s: Callable[[], float] = time.monotonic,
    *,
    reload: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Call `stop` at SIGTERM or SIGINT, and put the former handlers back afterwards.

    `reload`, if given, is called at SIGHUP; a `stop` then waits for it.

    `stop` runs in a thread of its own, so it may take any lock, as `Event.set` does: the handler
    itself interrupts the main thread, which may hold that very lock.

    A second Ctrl-C, SAME_WISH_S after the first or later, gets the former handler: whoever presses
    it twice means it. A second SIGTERM changes nothing, since its default would end the process
    before a lock is shut. Outside the main thread, where Python takes no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGTERM, signal.SIGINT, *([] if reload is None else [signal.SIGHUP]))
    former = {number: signal.getsignal(number) for number in wanted}
    # Its `put` is reentrant: the one hand-over that a signal handler may use.
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    end = 0
    first_s: float | None = None

    def handle(number: int, _frame: object) -> None:
        nonlocal first_s
        if number == signal.SIGINT:
            now_s = clock_s()
            if first_s is None:
                first_s = now_s
            elif now_s - first_s >= SAME_WISH_S:
                signal.signal(number, former[signal.SIGINT])
                signal.raise_signal(number)
                return
        arrived.put(number)

    def pass_on() -> None:
        while (number := arrived.get()) != end:
            if number == signal.SIGHUP and reload is not None:
                reload()
            else:
                stop()

    thread = threading.Thread(target=pass_on, name="signals", daemon=True)
    thread.start()
    for number in wanted:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        arrived.put(end)
        thread.join()
