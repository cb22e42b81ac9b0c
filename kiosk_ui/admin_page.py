"""What one page of the administration shows. Plain data, in the language of the screen: no Kivy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from oneglance.kiosk_ui.screen import Kind


class Keys(StrEnum):
    """Which keys a page has to type with."""

    NONE = auto()
    DIGITS = auto()
    LETTERS = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list or a button: `key` is what is pressed, empty for what only tells.

    `strong` is the one thing to do here, `danger` what cannot be undone. `chosen` is whether it
    bears a tick; None for what cannot.
    """

    key: str
    text: str
    more: str = ""
    strong: bool = False
    danger: bool = False
    chosen: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a title, a line below, then as much of the rest as it has.

    `note` is in small letters. A page that only says something has a `sign`: the symbol of the
    screen that says the like to a visitor. `entry` is what was typed so far, already as dots if it
    is secret; None where nothing is typed. `rows` are the keys for letters. `progress` is 0 to 1
    while a face is taken, with the live `picture` above; `photo` is a JPEG file to be shown.
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
