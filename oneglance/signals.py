"""SIGTERM and SIGINT as a clean stop, for as long as a block runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGTERM or SIGINT, and put the former handlers back afterwards.

    A second Ctrl-C gets the former handler: whoever presses it twice means it. A second SIGTERM
    changes nothing, since its default would end the process before a lock is shut. Outside the
    main thread, where Python takes no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGTERM, signal.SIGINT)
    former = {number: signal.getsignal(number) for number in wanted}

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, former[signal.SIGINT])
        stop()

    for number in wanted:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
