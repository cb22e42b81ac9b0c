"""The administration's pages, all drawn by one widget over the rest of the screen.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kivy.core.image import Image as CoreImage
from kivy.properties import ColorProperty, ListProperty, ObjectProperty
from kivy.uix.floatlayout import FloatLayout

from oneglance.contract.preview_lease import Shot
from oneglance.kiosk_ui import admin_keys
from oneglance.kiosk_ui.admin_page import Item, Keys, Page
from oneglance.kiosk_ui.admin_tile import Box, OnKey, Tile, even
from oneglance.kiosk_ui.fonts import FontBook
from oneglance.kiosk_ui.language import N_, Language
from oneglance.kiosk_ui.palette import DEFAULT, Theme
from oneglance.kiosk_ui.preview_view import LivePicture
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.symbols import SETTLED_S, symbol

_MORE = "more"
# What a title with and without a line takes of the height, and words above a picture.
_HEAD, _TITLE_ALONE = 0.24, 0.15
_WORDS = ("title", "line", "note", "entry")
_UPRIGHT = 0.62
# The least height of an item, as a share of the shorter side.
_TOUCHED, _TELLS = 0.13, 0.115
# So many lines that only tell are sentences, and may be as tall as these need.
_FEW = 3
# What is longer needs the whole width.
_LONG = 46
# Below a sign: the shares of sign, title, line and note, and how tall all may be at most for
# their width.
_SIGNED, _SIGNED_MOST = (0.36, 0.22, 0.28, 0.14), 1.05
# A key is at most so much taller than it is wide: upright there is more room than letters need.
_TALLEST_KEY = 1.45


class AdminView(FloatLayout):  # type: ignore[misc]
    """Covers the whole screen while there is a page. `show` is called once per frame."""

    background = ColorProperty(DEFAULT.background)
    photo = ObjectProperty(None, allownone=True)
    photo_box = ListProperty([0, 0, 0, 0])

    def __init__(
        self,
        on_key: OnKey,
        language: Language | None = None,
        theme: Theme = DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.language = language or Language()
        self._on_key = on_key
        self._theme = theme
        self._fonts = FontBook(theme.font)
        self.background = theme.background
        self._drawn: object = None
        self._tiles: list[Tile] = []
        # How many of them the page has.
        self._used = 0
        self._page: Page | None = None
        # Which item is shown first, and which after those.
        self._first = self._next = 0
        self.live = LivePicture(theme)
        self.add_widget(self.live, index=len(self.children))

    @property
    def tiles(self) -> list[Tile]:
        """The buttons and lines of the page."""
        return self._tiles[: self._used]

    def show(self, page: Page | None, stage: Any, shot: Shot | None, *, shifted: bool) -> None:
        """Draw `page` over `stage`, or nothing for None."""
        if page is None:
            if self.parent is not None:
                stage.remove_widget(self)
                self._drawn = self.photo = None
                self.live.draw(None, _progress(0.0), 0)
            return
        if self.parent is None:
            stage.add_widget(self)
        self.pos, self.size = stage.pos, stage.size
        plain = replace(page, entry=None if page.entry is None else "")
        shape = (plain, tuple(self.size), self.language.code)
        if shape != self._drawn:
            if plain != self._page:
                self._page, self._first = plain, 0
            self._drawn = shape
            self._build(page)
        self._say("entry", page.entry or "")
        if page.keys is Keys.LETTERS:
            self._name_keys(page, shifted=shifted)
        words_top = self.ids.title.top
        self.live.draw(shot if page.picture else None, _progress(page.progress), words_top)

    def on_touch_down(self, touch: Any) -> bool:
        """Kivy calls this on a touch: nothing below may be touched."""
        super().on_touch_down(touch)
        return True

    def _name_keys(self, page: Page, *, shifted: bool) -> None:
        own = page.rows == admin_keys.rows(self.language.code)
        for tile in self.tiles:
            key = tile.item.key
            if any(key in row for row in page.rows):
                tile.say(admin_keys.label(key, shifted=shifted, own=own))

    def _build(self, page: Page) -> None:
        self._used = 0
        self._lay(page)
        for tile in self._tiles[self._used :]:
            tile.hide()

    def _lay(self, page: Page) -> None:
        self.photo = _texture(page.photo)
        self.ids.sign.draw((), self._theme.text)
        edge = 0.03 * min(self.size)
        width = self.width - 2 * edge
        foot = self._buttons(page, edge, width)
        top = self.top - edge
        if page.picture:
            self._words(page, (self.x + edge, foot, width, _HEAD * self.height))
            return
        x, high = self.x + edge, top - foot
        told = not (page.items or page.photo or page.keys is not Keys.NONE)
        if told and page.sign is not None:
            self._signed(page, page.sign, (x, foot, width, high))
            return
        if told:
            self._words(page, (x, foot, width, high))
            return
        if page.keys is Keys.DIGITS and self.width >= self.height:
            wide = 0.42 * width
            self._words(page, self._turned(x, foot, wide, high))
            self._keys(admin_keys.DIGITS, self._turned(x + 0.45 * width, foot, 0.55 * width, high))
            return
        plain = not page.line and page.entry is None
        words = (_TITLE_ALONE if plain else _HEAD) * self.height
        self._words(page, (x, top - words, width, words))
        box = (x, foot, width, high - words)
        if page.keys is not Keys.NONE:
            rows = admin_keys.DIGITS if page.keys is Keys.DIGITS else page.rows
            self._keys(rows, box)
        elif self.photo is not None:
            self.photo_box = _within(self.photo.size, box)
        else:
            self._items(page, box)

    def _turned(self, x: float, y: float, width: float, height: float) -> Box:
        """A box, mirrored if the language is written from right to left."""
        if self.language.right_to_left:
            x = self.x + self.right - x - width
        return x, y, width, height

    def _words(self, page: Page, box: Box) -> None:
        x, y, width, height = box
        large = height > 0.3 * self.height
        title, line, note, entry = 0.58, 0.42 if page.line else 0.0, 0.0, 0.0
        if page.entry is not None:
            title, line, entry = 0.36, 0.28, 0.36
        elif large:
            title, line, note = 0.4, 0.36, 0.24
        elif not page.line:
            title = 1.0
        # Alone on a page, title and line stand together in its middle.
        alone = large and page.entry is None
        self.ids.title.valign = "bottom" if alone else "middle"
        self.ids.line.valign = "top" if alone else "middle"
        # On an upright screen a share of the height is a larger one of the width.
        scale = _UPRIGHT if self.height > self.width else 1.0
        for name, most in zip(_WORDS, (0.095, 0.07 if alone else 0.058, 0.042, 0.095), strict=True):
            self.ids[name].font_share = scale * most
        top = y + height
        for name, share in zip(_WORDS, (title, line, note, entry), strict=True):
            label, part = self.ids[name], share * height
            top -= part
            label.size_hint = (None, None)
            label.pos, label.size = (x, top), (width, part)
            quiet = name in ("line", "note")
            label.color = (*(self._theme.quiet if quiet else self._theme.text), 1)
        self._say("title", page.title)
        self._say("line", page.line)
        self._say("note", page.note)

    def _signed(self, page: Page, sign: Kind, box: Box) -> None:
        """A symbol with its text below, centred in the box."""
        x, y, width, height = box
        high = min(height, _SIGNED_MOST * width)
        shares = dict(zip(("sign", "title", "line", "note"), _SIGNED, strict=True))
        if not page.note:
            high -= shares.pop("note") * high / 2
        top = y + (height + high) / 2
        scale = high / sum(shares.values())
        theme, side = self._theme, 0.86 * shares.pop("sign") * scale
        self.ids.sign.size = (side, side)
        self.ids.sign.pos = (x + (width - side) / 2, top - side)
        drawn = symbol(ScreenState(sign, "", "", 0.0), SETTLED_S)
        self.ids.sign.draw(drawn, theme.accent(sign), theme.background)
        top -= side / 0.86
        sizes = {"title": 0.095, "line": 0.068, "note": 0.042}
        upright = _UPRIGHT if self.height > self.width else 1.0
        for name, share in shares.items():
            label, part = self.ids[name], share * scale
            top -= part
            # Small print keeps clear of a line that fills its part.
            label.valign = {"title": "bottom", "line": "top", "note": "middle"}[name]
            label.font_share = upright * sizes[name]
            label.size_hint = (None, None)
            label.pos, label.size = (x, top), (width, part)
            label.color = (*(theme.text if name == "title" else theme.quiet), 1)
        self._say("title", page.title)
        self._say("line", page.line)
        self._say("note", page.note)

    def _say(self, name: str, text: str) -> None:
        self.ids[name].say(text, self._fonts, right_to_left=self.language.right_to_left)

    def _buttons(self, page: Page, edge: float, width: float) -> float:
        """The buttons at the bottom, in two rows where three would be too close.

        Returns the y above which the rest of the page goes.
        """
        y = float(self.y + edge)
        if not page.buttons:
            return y
        height = max(0.14 * min(self.size), 0.08 * self.height)
        rows = [page.buttons]
        if self.height > self.width and len(page.buttons) > 2:
            rows = [page.buttons[1:], page.buttons[:1]]
        for row in rows:
            each = (width - edge * (len(row) - 1)) / len(row)
            for i, item in enumerate(row):
                x = self.x + edge + i * (each + edge)
                self._tile(item, self._turned(x, y, each, height))
            y += edge + height
        even(self.tiles)
        return y

    def _keys(self, rows: admin_keys.Rows, box: Box) -> None:
        x, y, width, height = box
        gap = 0.012 * min(self.size)
        wide = width / max(len(row) for row in rows)
        tall = min(_TALLEST_KEY * wide, (height - gap * len(rows)) / len(rows))
        for i, row in enumerate(rows):
            at_y = y + (len(rows) - 1 - i) * (tall + gap)
            for key, at_x, wide in _shared(row, x, width, gap):
                if key:
                    self._tile(Item(key, key), (at_x, at_y, wide, tall))

    def _items(self, page: Page, box: Box) -> None:
        """As many items as can be touched easily, and a button for the next ones."""
        x, y, width, height = box
        if not page.items:
            return
        gap = 0.015 * min(self.size)
        tells = not any(item.key for item in page.items)
        # What nobody touches may be smaller than a finger; sentences are to be read.
        least = (_TELLS if tells else _TOUCHED) * min(self.size)
        few = tells and len(page.items) <= _FEW
        most = (0.27 if few else 0.19) * min(self.size)
        long = tells and any(len(item.more) > _LONG for item in page.items)
        columns = 2 if self.width > self.height and len(page.items) > 3 and not long else 1
        fit = columns * max(1, int((height + gap) / (least + gap)))
        items = page.items
        if len(items) > fit:
            room = fit - 1
            items = items[self._first : self._first + room]
            pages, now = -(-len(page.items) // room), self._first // room + 1
            more = self.language.say(N_("More"))
            items = (*items, Item(_MORE, more, f"{now} / {pages}"))
            self._next = self._first + room if now < pages else 0
        tall = min(most, max(least, (height + gap) / -(-len(items) // columns) - gap))
        wide = (width - gap * (columns - 1)) / columns
        for i, item in enumerate(items):
            row, column = divmod(i, columns)
            top = y + height - row * (tall + gap)
            at_x = x + column * (wide + gap)
            self._tile(item, self._turned(at_x, top - tall, wide, tall))
        even(self.tiles[-len(items) :])

    def _press(self, key: str) -> None:
        if key == _MORE:
            self._first, self._drawn = self._next, None
        else:
            self._on_key(key)

    def _tile(self, item: Item, box: Box) -> None:
        if self._used == len(self._tiles):
            self._tiles.append(Tile(self._press, self._theme))
            self.add_widget(self._tiles[-1])
        tile = self._tiles[self._used]
        self._used += 1
        tile.show(item, box, right_to_left=self.language.right_to_left)


def _shared(
    row: tuple[str, ...], x: float, width: float, gap: float
) -> Iterator[tuple[str, float, float]]:
    """Each key of a row, its x and its width: the space bar is the widest."""
    shares = [4.0 if key == " " else 1.0 for key in row]
    each = (width - gap * (len(row) - 1)) / sum(shares)
    for key, share in zip(row, shares, strict=True):
        yield key, x, share * each
        x += share * each + gap


def _within(size: tuple[float, float], box: Box) -> list[float]:
    """Where a picture of this size goes, complete and centred in a box."""
    x, y, width, height = box
    scale = min(width / size[0], height / size[1])
    wide, tall = scale * size[0], scale * size[1]
    return [x + (width - wide) / 2, y + (height - tall) / 2, wide, tall]


def _texture(jpeg: bytes) -> Any:
    """A picture as a texture; None without a picture."""
    return CoreImage(io.BytesIO(jpeg), ext="jpg", nocache=True).texture if jpeg else None


def _progress(share: float) -> ScreenState:
    return ScreenState(Kind.CHECKING, "", "", 0.0, progress=share)
