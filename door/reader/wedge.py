"""Badge readers that type: a keyboard wedge sends the number as key strokes, and then Enter.

The events are read as the kernel writes them (linux/input.h, input-event-codes.h). The package
evdev would do the same, but has no wheel for aarch64: each door would need a C compiler.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from oneglance.errors import ConfigError, OneglanceError

# struct input_event: seconds, microseconds, type, code, value.
EVENT = struct.Struct("llHHi")
EV_KEY = 1
PRESSED = 1
ENTER = {28, 96}
SHIFT = {42, 54}
KEYS = (
    dict(zip((11, *range(2, 11)), "0123456789", strict=True))
    | dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True))
    | dict(zip((30, 48, 46, 32, 18, 33), "ABCDEF", strict=True))
)
# _IOW('E', 0x90, int): what is typed reaches nobody else, least of all a login on the console.
EVIOCGRAB = 0x40044590
MAX_DIGITS = 32
# A reader types a number in a few hundredths of a second.
PAUSE_S = 1.0


class WedgeDecoder:
    """From key strokes to numbers. Pure: `at_s` is the time of the stroke in seconds."""

    def __init__(self) -> None:
        self._digits = ""
        self._spoilt = False
        self._at_s = 0.0

    def feed(self, kind: int, code: int, value: int, at_s: float) -> str | None:
        """Take one event; returns the number when its Enter has come.

        A number with any other key in it, or with a pause, does not count.
        """
        if kind != EV_KEY or value != PRESSED or code in SHIFT:
            return None
        if at_s - self._at_s > PAUSE_S:
            self._digits, self._spoilt = "", False
        self._at_s = at_s
        if code in ENTER:
            number = self._digits
            spoilt = self._spoilt or not 0 < len(number) <= MAX_DIGITS
            self._digits, self._spoilt = "", False
            return None if spoilt else number
        digit = KEYS.get(code)
        if digit is None or len(self._digits) > MAX_DIGITS:
            self._spoilt = True
        else:
            self._digits += digit
        return None


class Wedge:
    """An open input device. `read` gives one number at a time."""

    def __init__(self, descriptor: int, where: str) -> None:
        self._descriptor = descriptor
        self._where = where
        self._decoder = WedgeDecoder()
        self._numbers: list[str] = []

    def read(self, timeout_s: float) -> str | None:
        """The next number; None if none has come for `timeout_s`.

        Raises OneglanceError if the reader was unplugged.
        """
        if not self._numbers:
            ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
            if ready:
                self._numbers += self._typed()
        return self._numbers.pop(0) if self._numbers else None

    def close(self) -> None:
        """Give the device back."""
        os.close(self._descriptor)

    def _typed(self) -> Iterator[str]:
        try:
            data = os.read(self._descriptor, 64 * EVENT.size)
        except OSError as error:
            raise self._gone(error.strerror) from None
        if not data:
            raise self._gone("end of file")
        for seconds, micros, kind, code, value in EVENT.iter_unpack(
            data[: len(data) // EVENT.size * EVENT.size]
        ):
            number = self._decoder.feed(kind, code, value, seconds + micros / 1e6)
            if number is not None:
                yield number

    def _gone(self, why: str | None) -> OneglanceError:
        return OneglanceError(
            f"the badge reader is gone: {why}", where=self._where, fix="plug it in again"
        )


def open_wedge(device: Path | None) -> Wedge:
    """Open the reader's event device for this process alone.

    Raises ConfigError if it is not an input device or not ours to read, OneglanceError if it is not
    there (yet).
    """
    if device is None:
        raise ConfigError(
            "no badge reader is named",
            where="reader.device",
            fix="write its file below /dev/input/by-id/ there",
        )
    where = str(device)
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise OneglanceError(
            "the badge reader is not plugged in", where=where, fix="plug it in"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot open the badge reader: {error.strerror}",
            where=where,
            fix="let the reader's user into the group 'input'",
        ) from None
    try:
        if not stat.S_ISCHR(os.fstat(descriptor).st_mode):
            raise OSError("no device")
        fcntl.ioctl(descriptor, EVIOCGRAB, 1)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(
            f"is no input device that can be had alone: {error.strerror or error}",
            where=where,
            fix="name a file below /dev/input/by-id/ as reader.device",
        ) from None
    return Wedge(descriptor, where)
