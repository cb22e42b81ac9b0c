"""The pin: gpiozero's mock stands for the hardware."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from oneglance.config import DoorConfig
from oneglance.contract.messages import LockState
from oneglance.door.lock import Lock, LockEvent, factory_name, open_factory
from oneglance.errors import ConfigError, MissingPartError, OneglanceError


class StuckPin(MockPin):
    """A pin whose hardware refuses the levels in `stuck`."""

    stuck: frozenset[bool] = frozenset()

    def _set_state(self, value: Any) -> None:
        if bool(value) in self.stuck:
            raise OSError("the expander does not answer")
        super()._set_state(value)


def lock_on(
    factory: MockFactory, pulse_s: float = 0.1, active_high: bool = True
) -> tuple[Lock, list[LockEvent]]:
    events: list[LockEvent] = []
    config = DoorConfig(pin_factory="mock", pulse_s=pulse_s, active_high=active_high)
    return Lock(config, factory, events.append), events


def level(factory: MockFactory) -> bool:
    return bool(factory.pin("GPIO17").state)


def levels(factory: MockFactory) -> list[bool]:
    """All that the pin has been: it may have changed again before anybody looks."""
    return [state.state for state in factory.pin("GPIO17").states]


def test_a_new_lock_is_shut() -> None:
    factory = MockFactory()
    lock, events = lock_on(factory)
    assert not level(factory)
    assert lock.event == LockEvent(LockState.LOCKED)
    assert events == []
    lock.close()


def test_a_pulse_opens_and_the_timer_shuts(wait_until: Callable[..., None]) -> None:
    factory = MockFactory()
    lock, events = lock_on(factory)
    lock.pulse("event-1")
    wait_until(lambda: len(events) == 2, "relocked")
    assert levels(factory) == [False, True, False]
    assert events == [
        LockEvent(LockState.UNLOCKED, "event-1"),
        LockEvent(LockState.LOCKED, "event-1"),
    ]
    lock.close()


def test_a_relay_that_opens_on_low_is_idle_on_high(wait_until: Callable[..., None]) -> None:
    factory = MockFactory()
    lock, events = lock_on(factory, active_high=False)
    lock.pulse("event-1")
    wait_until(lambda: len(events) == 2, "relocked")
    assert levels(factory)[-3:] == [True, False, True]
    lock.close()


def test_a_second_pulse_extends_the_first(wait_until: Callable[..., None]) -> None:
    factory = MockFactory()
    lock, events = lock_on(factory, pulse_s=1.0)
    lock.pulse("event-1")
    first_s = lock.shuts_at_s
    lock.pulse("event-2")
    assert lock.shuts_at_s > first_s
    wait_until(lambda: len(events) == 3, "relocked")
    assert [event.state for event in events] == ["unlocked", "unlocked", "locked"]
    assert events[-1].cause == "event-2"
    # One rising edge: the pin never fell between the two.
    assert levels(factory) == [False, True, False]
    lock.close()


def test_closing_relocks_at_once_even_in_a_long_pulse() -> None:
    factory = MockFactory()
    lock, events = lock_on(factory, pulse_s=60)
    lock.pulse("event-1")
    lock.close()
    assert not level(factory)
    assert events[-1] == LockEvent(LockState.LOCKED, "event-1")
    lock.close()


def test_an_exception_in_the_block_relocks() -> None:
    factory = MockFactory()
    lock, _ = lock_on(factory, pulse_s=60)

    def work() -> None:
        with lock:
            lock.pulse("event-1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not level(factory)


def test_a_closed_lock_does_not_open() -> None:
    factory = MockFactory()
    lock, _ = lock_on(factory)
    lock.close()
    with pytest.raises(OneglanceError, match="out of order"):
        lock.pulse("event-1")
    assert not level(factory)


def test_a_pin_that_does_not_open_is_a_fault_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = MockFactory(pin_class=StuckPin)
    lock, events = lock_on(factory)
    monkeypatch.setattr(StuckPin, "stuck", frozenset({True}))
    with pytest.raises(OneglanceError, match="did not obey"):
        lock.pulse("event-1")
    assert events == [LockEvent(LockState.FAULT, "the pin did not obey")]
    monkeypatch.setattr(StuckPin, "stuck", frozenset())
    with pytest.raises(OneglanceError, match="out of order"):
        lock.pulse("event-2")
    assert not level(factory)
    lock.close()


def test_a_pin_that_does_not_shut_is_a_fault_and_is_tried_again_until_it_shuts(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    factory = MockFactory(pin_class=StuckPin)
    lock, events = lock_on(factory)
    monkeypatch.setattr(StuckPin, "stuck", frozenset({False}))
    lock.pulse("event-1")
    wait_until(lambda: len(events) == 2, "the fault is noticed")
    lock.relock_if_due()
    assert level(factory)
    monkeypatch.setattr(StuckPin, "stuck", frozenset())
    lock.relock_if_due()
    assert not level(factory)
    # Once: a fault is not forgotten because the pin obeyed later.
    assert [event.state for event in events] == ["unlocked", "fault"]
    with pytest.raises(OneglanceError, match="out of order"):
        lock.pulse("event-2")
    lock.close()


def test_a_pin_that_opened_and_then_failed_is_shut_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class HalfWayPin(MockPin):
        fails = 0

        def _set_state(self, value: Any) -> None:
            if value:
                super()._set_state(value)
            if self.fails:
                type(self).fails -= 1
                raise OSError("the expander does not answer")
            super()._set_state(value)

    factory = MockFactory(pin_class=HalfWayPin)
    lock, events = lock_on(factory, pulse_s=60)
    # To open, and the first try to shut.
    monkeypatch.setattr(HalfWayPin, "fails", 2)
    with pytest.raises(OneglanceError, match="did not obey"):
        lock.pulse("event-1")
    assert level(factory)
    lock.relock_if_due()
    assert not level(factory)
    assert [event.state for event in events] == ["fault"]
    lock.close()


def test_a_lock_that_is_shut_leaves_its_pin_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = MockFactory(pin_class=StuckPin)
    lock, events = lock_on(factory, pulse_s=0.01)
    lock.relock_if_due()
    lock.pulse("event-1")
    while lock.event.state is LockState.UNLOCKED:
        lock.relock_if_due()
    monkeypatch.setattr(StuckPin, "stuck", frozenset({False}))
    lock.relock_if_due()
    assert [event.state for event in events] == ["unlocked", "locked"]
    monkeypatch.setattr(StuckPin, "stuck", frozenset())
    lock.close()


def test_closing_tries_a_pin_that_did_not_shut_once_more(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    factory = MockFactory(pin_class=StuckPin)
    lock, events = lock_on(factory)
    monkeypatch.setattr(StuckPin, "stuck", frozenset({False}))
    lock.pulse("event-1")
    wait_until(lambda: len(events) == 2, "the fault is noticed")
    assert level(factory)
    monkeypatch.setattr(StuckPin, "stuck", frozenset())
    lock.close()
    assert not level(factory)


def test_closing_that_was_interrupted_can_be_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptedPin(MockPin):
        interrupt = False

        def _set_state(self, value: Any) -> None:
            if self.interrupt and not value:
                raise KeyboardInterrupt
            super()._set_state(value)

    factory = MockFactory(pin_class=InterruptedPin)
    lock, events = lock_on(factory, pulse_s=60)
    lock.pulse("event-1")
    monkeypatch.setattr(InterruptedPin, "interrupt", True)
    with pytest.raises(KeyboardInterrupt):
        lock.close()
    assert level(factory)
    monkeypatch.setattr(InterruptedPin, "interrupt", False)
    lock.close()
    assert not level(factory)
    assert events[-1] == LockEvent(LockState.LOCKED, "event-1")


def test_a_dead_timer_is_made_good_by_the_owners_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoTimer:
        daemon = False

        def __init__(self, *_: object) -> None: ...
        def start(self) -> None: ...
        def cancel(self) -> None: ...

    monkeypatch.setattr(threading, "Timer", NoTimer)
    factory = MockFactory()
    lock, _ = lock_on(factory, pulse_s=0.01)
    lock.pulse("event-1")
    while lock.event.state is LockState.UNLOCKED:
        lock.relock_if_due()
    assert not level(factory)
    lock.close()


def test_if_no_timer_can_be_had_the_pin_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    factory = MockFactory()
    lock, _ = lock_on(factory)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        lock.pulse("event-1")
    assert not level(factory)
    monkeypatch.undo()
    lock.close()


@pytest.mark.parametrize("pin", ["GPIO99", "BANANA", "3V3", ""])
def test_a_pin_that_is_none_is_a_mistake_in_the_configuration(pin: str) -> None:
    with pytest.raises(ConfigError, match=r"door\.pin: cannot use the pin"):
        Lock(DoorConfig(pin=pin), MockFactory(), lambda _: None)


def test_off_a_raspberry_pi_no_real_pin_moves(tmp_path: Path) -> None:
    board = tmp_path / "model"
    assert factory_name("auto", board) == "mock"
    board.write_bytes(b"Some Other Board\x00")
    assert factory_name("auto", board) == "mock"
    board.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\x00")
    assert factory_name("auto", board) == "lgpio"
    assert factory_name("mock", board) == "mock"


def test_a_missing_pin_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    with pytest.raises(MissingPartError, match="lgpio"):
        open_factory("lgpio")


@pytest.mark.parametrize("close", ["", "close_interrupted()"])
def test_leaving_python_in_a_pulse_relocks(close: str) -> None:
    script = f"""
import atexit
atexit.register(lambda: print([state.state for state in factory.pin("GPIO17").states]))
from gpiozero.pins.mock import MockFactory
from oneglance.config import DoorConfig
from oneglance.door.lock import Lock
factory = MockFactory()
lock = Lock(DoorConfig(pulse_s=60), factory, lambda event: None)
lock.pulse("event-1")
def close_interrupted():
    off = lock._device.off
    def interrupted():
        lock._device.off = off
        raise KeyboardInterrupt
    lock._device.off = interrupted
    try:
        lock.close()
    except KeyboardInterrupt:
        pass
{close}
raise SystemExit("a bug that forgets to close")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "a bug" in done.stderr
    assert done.stdout.strip() == "[False, True, False]"
