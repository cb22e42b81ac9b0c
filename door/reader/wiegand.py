"""Badge readers with two wires: each pulse on D0 is a 0, each on D1 a 1 (Wiegand, SIA AC-01).

26 and 34 bits are known: an even parity bit, the number, an odd parity bit; each parity covers half
of the number.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from oneglance.errors import ConfigError, MissingPartError

LENGTHS = (26, 34)
# Pulses follow each other within 20 ms at most; a longer pause ends the number.
PAUSE_S = 0.05
# Noise on the wires must not fill the memory.
MAX_BITS = 64


def number_of(bits: Sequence[int]) -> str | None:
    """The badge's number in decimal digits; None if length or parity of `bits` (0, 1) is wrong."""
    if len(bits) not in LENGTHS:
        return None
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return None
    number = 0
    for bit in bits[1:-1]:
        number = number << 1 | bit
    return str(number)


class Wiegand:
    """A reader on two GPIO pins. `read` gives one number at a time."""

    def __init__(self, d0: str, d1: str, factory: Any) -> None:
        """Take the pins; ConfigError if they cannot be had, MissingPartError without gpiozero."""
        try:
            from gpiozero import DigitalInputDevice
        except ImportError:
            raise MissingPartError(
                "gpiozero is not installed", fix="pip install 'oneglance[door]'"
            ) from None
        self._bits: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._wires: list[Any] = []
        try:
            for bit, pin in enumerate((d0, d1)):
                # The lines idle high and are pulled low for each bit.
                wire = DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
                self._wires.append(wire)
                wire.when_activated = lambda bit=bit: self._bits.put(bit)
        except Exception as error:
            # Each pin library raises its own kinds of error.
            self.close()
            raise ConfigError(
                f"cannot use the pins {d0!r} and {d1!r}: {error}",
                where="reader.d0, reader.d1",
                fix="name two free GPIO pins, e.g. GPIO23 and GPIO24",
            ) from None

    def read(self, timeout_s: float) -> str | None:
        """The next number; None if none has come for `timeout_s`, or if it came damaged."""
        bits: list[int] = []
        try:
            bits.append(self._bits.get(timeout=timeout_s))
            while len(bits) <= MAX_BITS:
                bits.append(self._bits.get(timeout=PAUSE_S))
        except queue.Empty:
            pass
        return number_of(bits)

    def close(self) -> None:
        """Give the pins back."""
        for wire in self._wires:
            wire.close()
