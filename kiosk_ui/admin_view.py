"""The administration's pages: one drawing for all, laid over the rest of the screen.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import ColorProperty, NumericProperty, StringProperty
from kivy.uix.behaviors import ButtonBehavior
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.admin_page import DELETE, SHIFT, SPACE, Item, Keys, Page
from oneglance.kiosk_ui.palette import DEFAULT, KEY_BACK, Theme, mixed
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - admin.kv uses it
from oneglance.kiosk_ui.preview_lease import Shot
from oneglance.kiosk_ui.preview_view import LivePicture
from oneglance.kiosk_ui.screen import Kind, ScreenState

OnKey = Callable[[str], None]

_DIGITS = (("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"), ("", "0", DELETE))
_LETTERS = (
    tuple("qwertyuiop"),
    tuple("asdfghjkl'"),
    (SHIFT, *"zxcvbnm-", DELETE),
    tuple("äöüßéèñçåø"),
    (SPACE, "."),
)
_NAMES = {DELETE: "Del", SHIFT: "Shift", SPACE: "Space"}
_DIM = 0.4
_MORE = "more"


class Tile(ButtonBehavior, FloatLayout):  # type: ignore[misc]
    """A button, a line of a list, or a key."""

    back = ColorProperty(DEFAULT.background)
    ink = ColorProperty(DEFAULT.text)
    more = StringProperty("")
    inset = NumericProperty(0)

    def __init__(self, item: Item, on_key: OnKey, theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item = item
        self._on_key = on_key
        self.more = item.more
        self._said: object = None
        back, ink = mixed(theme.background, theme.text, KEY_BACK), theme.text
        if item.ready and (item.strong or item.danger):
            back, ink = theme.guide if item.strong else theme.no, theme.background
        elif not item.ready:
            ink = mixed(back, theme.text, _DIM)
        self.back, self.ink = back, (*ink, 1)

    def place(self, x: float, y: float, width: float, height: float) -> None:
        """Stand there, with the text as large as it may be."""
        self.pos, self.size = (x, y), (width, height)
        self.say()

    def say(self, text: str = "") -> None:
        """Show the item's text, or another one."""
        said = (text or self.item.text, tuple(self.size))
        if said != self._said:
            self._said = said
            self.ids.text.say(text or self.item.text)
            self.ids.more.say(self.item.more)

    def on_press(self) -> None:
        """Kivy's: it was pressed."""
        if self.item.key and self.item.ready:
            self._on_key(self.item.key)


class AdminView(FloatLayout):  # type: ignore[misc]
    """Lies over the whole screen while there is a page. `show` is called once a frame."""

    background = ColorProperty(DEFAULT.background)

    def __init__(self, on_key: OnKey, theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._on_key = on_key
        self._theme = theme
        self.background = theme.background
        self._drawn: object = None
        self._tiles: list[Any] = []
        self._page: Page | None = None
        # Which item is shown first, and which after those.
        self._first = self._next = 0
        self._live = LivePicture()
        self.add_widget(self._live, index=len(self.children))

    def show(self, page: Page | None, stage: Any, shot: Shot | None, *, shifted: bool) -> None:
        """Draw `page` over `stage`, nothing for None."""
        if page is None:
            if self.parent is not None:
                stage.remove_widget(self)
                self._drawn = None
                self._live.draw(None, _progress(0.0), 0)
            return
        if self.parent is None:
            stage.add_widget(self)
        self.pos, self.size = stage.pos, stage.size
        shape = (replace(page, entry=None if page.entry is None else ""), tuple(self.size))
        if shape != self._drawn:
            if shape[0] != self._page:
                self._page, self._first = shape[0], 0
            self._drawn = shape
            self._build(page)
        self.ids.entry.say(page.entry or "")
        for tile in self._tiles:
            key = tile.item.key
            if len(key) == 1 and key.isalpha() and page.keys is Keys.LETTERS:
                tile.say(key.upper() if shifted and key != "ß" else key)
        state = _progress(page.progress)
        words_top = self.ids.title.top
        self._live.draw(shot if page.picture else None, state, words_top)

    def on_touch_down(self, touch: Any) -> bool:
        """Kivy's: nothing below is to be touched."""
        super().on_touch_down(touch)
        return True

    def _build(self, page: Page) -> None:
        for tile in self._tiles:
            tile.parent.remove_widget(tile)
        self._tiles = []
        edge = 0.03 * min(self.size)
        width = self.width - 2 * edge
        foot = self._buttons(page, edge, width)
        top = self.top - edge
        upright = self.height > self.width
        if page.picture:
            words = 0.24 * self.height
            self._words(page, edge, foot + words, width, words)
            return
        told = not (page.items or page.keys is not Keys.NONE)
        beside = page.keys is Keys.DIGITS and not upright
        words = (top - foot) if told or beside else 0.24 * self.height
        self._words(page, edge, top, 0.42 * width if beside else width, words)
        rest = top - foot if beside else top - words - foot
        x = edge + (0.45 * width if beside else 0)
        if page.keys is Keys.DIGITS:
            self._keys(_DIGITS, x, foot, 0.55 * width if beside else width, rest - edge / 2)
        elif page.keys is Keys.LETTERS:
            self._keys(_LETTERS, edge, foot, width, rest - edge / 2)
        else:
            self._items(page, edge, foot, width, rest)

    def _words(self, page: Page, x: float, top: float, width: float, height: float) -> None:
        typed = page.entry is not None
        told = height > 0.3 * self.height and not typed
        parts = (0.4, 0.28, 0.32) if typed else (0.32, 0.46, 0) if told else (0.58, 0.42, 0)
        y = top
        for name, share, colour in zip(
            ("title", "line", "entry"),
            parts,
            (self._theme.text, self._theme.quiet, self._theme.text),
            strict=True,
        ):
            label = self.ids[name]
            part = share * height
            y -= part
            self._box(label, x, y, width, part)
            label.color = (*colour, 1)
        self.ids.title.say(page.title)
        self.ids.line.say(page.line)

    def _buttons(self, page: Page, edge: float, width: float) -> float:
        """The row of buttons at the foot; returns where what stands above it begins."""
        if not page.buttons:
            return float(self.y + edge)
        height = max(0.14 * min(self.size), 0.08 * self.height)
        each = (width - edge * (len(page.buttons) - 1)) / len(page.buttons)
        for i, item in enumerate(page.buttons):
            self._tile(item).place(edge + i * (each + edge), self.y + edge, each, height)
        return float(self.y + 2 * edge + height)

    def _keys(
        self,
        rows: tuple[tuple[str, ...], ...],
        x: float,
        y: float,
        width: float,
        height: float,
    ) -> None:
        gap = 0.012 * min(self.size)
        tall = (height - gap * (len(rows) - 1)) / len(rows)
        for i, row in enumerate(rows):
            wide = (width - gap * (len(row) - 1)) / len(row)
            for j, key in enumerate(row):
                if key:
                    tile = self._tile(Item(key, _NAMES.get(key, key)))
                    at_y = y + (len(rows) - 1 - i) * (tall + gap)
                    tile.place(x + j * (wide + gap), at_y, wide, tall)

    def _items(self, page: Page, x: float, y: float, width: float, height: float) -> None:
        """As many items as are easy to touch, and what shows the next ones."""
        if not page.items:
            return
        gap = 0.015 * min(self.size)
        least, most = 0.15 * min(self.size), 0.19 * min(self.size)
        if not any(item.key or item.more for item in page.items):
            # Sentences, to be read.
            most = 0.27 * min(self.size)
        columns = 2 if self.width > self.height and len(page.items) > 3 else 1
        fit = columns * max(1, int(height / (least + gap)))
        items = page.items
        if len(items) > fit:
            room = fit - 1
            items = items[self._first : self._first + room]
            pages, now = -(-len(page.items) // room), self._first // room + 1
            items = (*items, Item(_MORE, "More", f"{now} of {pages}"))
            self._next = self._first + room if now < pages else 0
        tall = min(most, max(least, height / -(-len(items) // columns) - gap))
        wide = (width - gap * (columns - 1)) / columns
        for i, item in enumerate(items):
            row, column = divmod(i, columns)
            top = y + height - row * (tall + gap)
            self._tile(item).place(x + column * (wide + gap), top - tall, wide, tall)

    def _press(self, key: str) -> None:
        if key == _MORE:
            self._first, self._drawn = self._next, None
        else:
            self._on_key(key)

    def _tile(self, item: Item) -> Tile:
        tile = Tile(item, self._press, self._theme)
        self._tiles.append(tile)
        self.add_widget(tile)
        return tile

    @staticmethod
    def _box(widget: Any, x: float, y: float, width: float, height: float) -> None:
        widget.size_hint = (None, None)
        widget.pos, widget.size = (x, y), (width, height)


class StaffButton(Tile):
    """Opens the administration; small and dim, as it is not for visitors."""

    def __init__(self, on_open: Callable[[], None], theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(Item("staff", "Staff"), lambda _key: on_open(), theme, **kwargs)
        self.back = mixed(theme.background, theme.text, KEY_BACK / 2)
        self.ink = (*mixed(theme.background, theme.text, 0.6), 1)

    def show(self, stage: Any, *, there: bool) -> None:
        """Stand in the upper right corner of `stage`, if it is to be there."""
        if not there:
            if self.parent is not None:
                stage.remove_widget(self)
            return
        if self.parent is None:
            # Below the administration's own pages.
            stage.add_widget(self, index=max(0, len(stage.children) - 1))
        side, edge = 0.12 * min(stage.size), 0.03 * min(stage.size)
        self.place(stage.right - edge - 1.5 * side, stage.top - edge - side, 1.5 * side, side)


def _progress(share: float) -> ScreenState:
    return ScreenState(Kind.CHECKING, "", "", 0.0, progress=share)


Builder.load_file(str(Path(__file__).with_name("admin.kv")))
