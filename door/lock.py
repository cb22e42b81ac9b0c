"""The pin that moves the lock. Whatever happens, it returns to inactive.

The relock timer is armed before the pin moves; the owner's loop checks the deadline as well, and
`close` relocks in every way out of the program that runs Python code at all. A pin that did not
shut is tried again at each of these occasions.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oneglance.config import DoorConfig
from oneglance.contract.messages import LockState
from oneglance.errors import ConfigError, MissingPartError, OneglanceError
from oneglance.events import LOCK_FAULT

log = logging.getLogger(__name__)

_FACTORIES = {
    "mock": ("gpiozero.pins.mock", "MockFactory"),
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "pigpio": ("gpiozero.pins.pigpio", "PiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
}


@dataclass(frozen=True, slots=True)
class LockEvent:
    """The lock's state and why: an event_id, or the reason of a fault."""

    state: LockState
    cause: str = ""


def factory_name(configured: str, board: Path = Path("/proc/device-tree/model")) -> str:
    """Which gpiozero pin factory `auto` stands for: lgpio on a Raspberry Pi, elsewhere mock."""
    if configured != "auto":
        return configured
    with suppress(OSError):
        if board.read_bytes().startswith(b"Raspberry Pi"):
            return "lgpio"
    return "mock"


def open_factory(name: str) -> Any:
    """The gpiozero pin factory of that name.

    Raises MissingPartError without its library, ConfigError where it cannot work.
    """
    module, member = _FACTORIES[name]
    try:
        return getattr(importlib.import_module(module), member)()
    except ImportError as error:
        raise MissingPartError(
            f"the pin factory {name!r} needs the Python package {error.name!r}",
            fix=f"pip install {error.name}, or set door.pin_factory",
        ) from None
    except Exception as error:
        # Each pin library raises its own kinds of error.
        raise ConfigError(
            f"the pin factory {name!r} does not work on this machine: {error}",
            where="door.pin_factory",
            fix="choose another, or 'mock' to try without hardware",
        ) from None


class Lock:
    """One output pin: pulsed for `pulse_s`, otherwise inactive.

    `on_change` hears each LockEvent, from the calling thread or the timer's; it must not block.
    `shuts_at_s` is when the pin is due to shut, on the monotonic clock; infinite while it is known
    to be shut.
    Raises ConfigError if the pin cannot be had. After a fault the lock refuses to open for good.
    """

    def __init__(
        self, config: DoorConfig, factory: Any, on_change: Callable[[LockEvent], None]
    ) -> None:
        try:
            from gpiozero import OutputDevice
        except ImportError:
            raise MissingPartError(
                "gpiozero is not installed", fix="pip install 'oneglance[door]'"
            ) from None
        self._pulse_s = config.pulse_s
        self._pin = config.pin
        self._on_change = on_change
        self._mutex = threading.RLock()
        self._timer: threading.Timer | None = None
        self.shuts_at_s = math.inf
        self._closed = False
        self._event = LockEvent(LockState.LOCKED)
        try:
            self._device = OutputDevice(
                config.pin,
                active_high=config.active_high,
                initial_value=False,
                pin_factory=factory,
            )
        except Exception as error:
            raise ConfigError(
                f"cannot use the pin {config.pin!r}: {error}",
                where="door.pin",
                fix="name a free GPIO pin, e.g. GPIO17",
            ) from None
        # gpiozero tidies up only the pins of its default factory.
        atexit.register(self.close)

    @property
    def event(self) -> LockEvent:
        """What the lock is now."""
        return self._event

    def pulse(self, cause: str) -> None:
        """Open for `pulse_s` from now on; a pulse under way is extended. Returns at once.

        Raises OneglanceError if the pin does not obey; the lock is then in fault.
        """
        with self._mutex:
            if self._closed or self._event.state is LockState.FAULT:
                raise OneglanceError("the lock is out of order and stays shut", where=self._pin)
            if self._timer is not None:
                self._timer.cancel()
            self.shuts_at_s = time.monotonic() + self._pulse_s
            self._timer = threading.Timer(self._pulse_s, self.relock_if_due)
            self._timer.daemon = True
            self._timer.start()
            if self._drive(True):
                self._became(LockEvent(LockState.UNLOCKED, cause))
                return
        raise OneglanceError(
            "the pin did not obey", where=self._pin, fix="check the wiring and the pin factory"
        )

    def shut(self) -> bool:
        """End a pulse that is under way now; False if there is none. Never raises."""
        with self._mutex:
            if self._event.state is not LockState.UNLOCKED:
                return False
            self.shuts_at_s = time.monotonic()
            self.relock_if_due()
            return True

    def relock_if_due(self) -> None:
        """Relock if the pulse is over, or if an earlier try to relock failed. Never raises."""
        with self._mutex:
            if self._closed or time.monotonic() < self.shuts_at_s:
                return
            if self._drive(False):
                self.shuts_at_s = math.inf
                if self._event.state is LockState.UNLOCKED:
                    self._became(LockEvent(LockState.LOCKED, self._event.cause))

    def close(self) -> None:
        """Relock and give the pin back. Safe to call twice; never raises.

        If a signal's exception interrupts it, it can be called again, and is at exit.
        """
        with self._mutex:
            if self._closed:
                return
            if self._timer is not None:
                self._timer.cancel()
            if self._drive(False) and self._event.state is LockState.UNLOCKED:
                self._became(LockEvent(LockState.LOCKED, self._event.cause))
            try:
                self._device.close()
            except Exception as error:
                log.error("cannot give back the pin %s: %s", self._pin, error)
            # Not earlier: whoever interrupts the lines above must find them still to be done.
            self._closed = True
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _drive(self, active: bool) -> bool:
        try:
            if active:
                self._device.on()
            else:
                self._device.off()
        except Exception as error:
            # Each pin library raises its own kinds of error; to a door they are all the same.
            log.error("the pin %s did not obey: %s", self._pin, error, extra=LOCK_FAULT())
            self.shuts_at_s = 0.0
            with suppress(Exception):
                self._device.off()
            if self._event.state is not LockState.FAULT:
                self._became(LockEvent(LockState.FAULT, "the pin did not obey"))
            return False
        return True

    def _became(self, event: LockEvent) -> None:
        self._event = event
        self._on_change(event)
