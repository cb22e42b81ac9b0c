"""What one page of the administration shows. Plain data, in the language of the screen: no Kivy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from oneglance.kiosk_ui.screen import Kind


class Keys(StrEnum):
    """Which keys a page offers for typing."""

    NONE = auto()
    DIGITS = auto()
    LETTERS = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list or a button: `key` is what pressing it sends, empty if it is only text.

    `strong` marks the main action, `danger` one that cannot be undone. `chosen` is whether it is
    ticked; None if it cannot be.
    """

    key: str
    text: str
    more: str = ""
    strong: bool = False
    danger: bool = False
    chosen: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a title, a line below it, then whichever of the rest it has.

    `note` is in small print. A page that only says something has a `sign`: the symbol of the screen
    with a similar message for visitors. `entry` is what has been typed so far, already as dots if
    it is secret; None if nothing is typed here. `rows` are the letter keys. `progress` is 0 to 1
    while a face is captured, with the live `picture` above; `photo` is a JPEG file to show.
    """

    title: str
    line: str = ""
    note: str = ""
    sign: Kind | None = None
    entry: str | None = None
    keys: Keys = Keys.NONE
    rows: tuple[tuple[str, ...], ...] = ()
    items: tuple[Item, ...] = ()
    buttons: tuple[Item, ...] = ()
    picture: bool = False
    progress: float = 0.0
    photo: bytes = b""


# Keys that are no characters, and the one that is not seen.
DELETE, SHIFT, LAYOUT, SPACE = "erase", "shift", "layout", " "
