from __future__ import annotations

import os
import signal
import threading

import pytest

from oneglance.signals import SAME_WISH_S, stop_on_signals


def test_signals_stop_and_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    calls: list[str] = []
    with stop_on_signals(lambda: calls.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert calls == ["stop", "stop"]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_sighup_is_a_wish_of_its_own_where_it_is_taken() -> None:
    before = signal.getsignal(signal.SIGHUP)
    calls: list[str] = []
    with stop_on_signals(lambda: calls.append("stop"), reload=lambda: calls.append("reload")):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert calls == ["reload", "stop"]
    assert signal.getsignal(signal.SIGHUP) == before
    with stop_on_signals(lambda: None):
        assert signal.getsignal(signal.SIGHUP) == before


def test_a_second_sigterm_does_not_end_the_process_before_it_has_cleaned_up() -> None:
    calls: list[str] = []
    with stop_on_signals(lambda: calls.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert calls == ["stop", "stop"]


def test_a_second_ctrl_c_is_meant(request: pytest.FixtureRequest) -> None:
    # A process started in the background of a shell ignores Ctrl-C from the beginning.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    now_s = 0.0
    calls: list[str] = []
    with stop_on_signals(lambda: calls.append("stop"), lambda: now_s):
        os.kill(os.getpid(), signal.SIGINT)
        # As `timeout -s INT` does: once to the process, once to its group.
        os.kill(os.getpid(), signal.SIGINT)
        now_s += SAME_WISH_S
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert calls == ["stop", "stop"]


def test_stop_may_take_a_lock_that_the_interrupted_thread_holds() -> None:
    lock = threading.Lock()
    taken: list[bool] = []

    def stop() -> None:
        taken.append(lock.acquire(timeout=5))
        if taken[-1]:
            lock.release()

    with stop_on_signals(stop), lock:
        os.kill(os.getpid(), signal.SIGTERM)
    assert taken == [True]


def test_an_error_in_the_block_is_the_blocks_own() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), stop_on_signals(lambda: None):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with stop_on_signals(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
