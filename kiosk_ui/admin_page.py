"""What one page of the administration shows. Plain data: no Kivy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto


class Keys(StrEnum):
    """Which keys a page has to type with."""

    NONE = auto()
    DIGITS = auto()
    LETTERS = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list or a button: `key` is what is pressed, empty for what only tells.

    `strong` is the one thing to do here, `danger` what cannot be undone.
    """

    key: str
    text: str
    more: str = ""
    strong: bool = False
    danger: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a title, a line below, then as much of the rest as it has.

    `note` is in small letters. `entry` is what was typed so far, already as dots if it is secret;
    None where nothing is typed.
    `progress` is 0 to 1 while a face is taken, with the `picture` above.
    """

    title: str
    line: str = ""
    note: str = ""
    entry: str | None = None
    keys: Keys = Keys.NONE
    items: tuple[Item, ...] = ()
    buttons: tuple[Item, ...] = ()
    picture: bool = False
    progress: float = 0.0


# Keys that are no characters.
DELETE, SHIFT, SPACE = "delete", "shift", " "
