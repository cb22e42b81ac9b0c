"""The keys of the PIN pad, on the glass and on a keyboard. Loads nothing: windows need them."""

from __future__ import annotations

from enum import StrEnum, auto

# As many as a PIN has.
FEWEST_DIGITS, MOST_DIGITS = 6, 12

DIGITS = "0123456789"


class Key(StrEnum):
    """The keys that are no digits; a digit's key is that digit."""

    OPEN = auto()
    CLOSE = auto()
    DELETE = auto()
    SEND = auto()


# By their place on the keyboard (USB HID usage page 7, as SDL counts them), whatever its layout:
# where French needs shift for its digits, a PIN does not.
_PLACES: dict[int, str] = (
    {40: Key.SEND, 88: Key.SEND, 42: Key.DELETE, 41: Key.CLOSE, 76: Key.CLOSE}
    | dict(zip(range(30, 40), "1234567890", strict=True))
    | dict(zip(range(89, 99), "1234567890", strict=True))
)


def key_at(place: int) -> str | None:
    """The key of the pad that a keyboard's key at this place is, if it is one."""
    return _PLACES.get(place)
