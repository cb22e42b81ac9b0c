"""The keys of the PIN pad, on the screen and on a keyboard. Loads nothing, as windows need them."""

from __future__ import annotations

from enum import StrEnum, auto

# How many a PIN has.
FEWEST_DIGITS, MOST_DIGITS = 6, 12

DIGITS = "0123456789"


class Key(StrEnum):
    """The keys other than digits; a digit's key is the digit itself."""

    OPEN = auto()
    CLOSE = auto()
    DELETE = auto()
    SEND = auto()


# By position on the keyboard (USB HID usage page 7, as SDL counts them), whatever the layout: the
# French one needs Shift for digits, but a PIN does not.
_PLACES: dict[int, str] = (
    {40: Key.SEND, 88: Key.SEND, 42: Key.DELETE, 41: Key.CLOSE, 76: Key.CLOSE}
    | dict(zip(range(30, 40), "1234567890", strict=True))
    | dict(zip(range(89, 99), "1234567890", strict=True))
)


def key_at(place: int) -> str | None:
    """The pad's key for a keyboard key at this position, if there is one."""
    return _PLACES.get(place)
