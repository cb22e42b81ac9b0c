"""Where the command starts and ends, quietly on Ctrl-C, SIGTERM and a closed pipe.

It imports nothing before signals are handled: the imports that follow take a quarter of a second,
and a command's own take seconds.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

# What a shell calls the end by a signal.
BY_SIGNAL = 128
_STOPS = (signal.SIGINT, signal.SIGTERM)
# A finaliser is over by then.
_AGAIN_S = 0.05


def main() -> None:
    """Run the command; 130 after Ctrl-C, 143 after SIGTERM, 141 if nobody reads its output.

    Everything open is closed first. A command that ends in an orderly way keeps its own exit code,
    whatever made it end.
    """
    _listen(_leave)
    from oneglance.cli.main import run

    arrived: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(BY_SIGNAL + number)

    def unraisable(problem: sys.UnraisableHookArgs) -> None:
        """Python drops an interrupt that hits a finaliser, so raise it again."""
        if arrived and issubclass(problem.exc_type, (KeyboardInterrupt, SystemExit)):
            from threading import Timer

            Timer(_AGAIN_S, signal.raise_signal, [arrived[-1]]).start()
        else:
            sys.__unraisablehook__(problem)

    sys.unraisablehook = unraisable
    _listen(interrupt)
    code: str | int | None = None
    try:
        run(lambda: bool(arrived))
    except SystemExit as end:
        code = end.code
        if isinstance(end.__context__, BrokenPipeError):
            code = BY_SIGNAL + signal.SIGPIPE
    except BaseException:
        # An import that is interrupted may end in any error.
        if not arrived:
            raise
        code = 1
    if arrived and code:
        code = BY_SIGNAL + arrived[-1]
    _listen(_leave)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BY_SIGNAL + signal.SIGPIPE
    sys.exit(code)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing is open yet, or nothing is open any more."""
    os._exit(BY_SIGNAL + number)


def _listen(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _STOPS:
        # Who starts us in the background may not want us to hear Ctrl-C.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
