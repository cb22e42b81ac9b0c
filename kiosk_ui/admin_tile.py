"""A button, a line of a list or a key of the administration, and the button that opens it.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import BooleanProperty, ColorProperty, NumericProperty, StringProperty
from kivy.uix.behaviors import ButtonBehavior
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.admin_page import DELETE, SHIFT, SPACE, Item
from oneglance.kiosk_ui.fonts import FontBook
from oneglance.kiosk_ui.language import N_, Language
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.kiosk_ui.palette import DEFAULT, KEY_BACK, Theme, mixed
from oneglance.kiosk_ui.parts import KioskLabel, Symbol  # noqa: F401 - admin.kv uses them
from oneglance.kiosk_ui.symbols import key_sign, letter_sign, tick_sign

OnKey = Callable[[str], None]
# Where something stands: x, y, width, height.
Box = tuple[float, float, float, float]
# How light what only tells is: less than what can be touched.
_TELLS_BACK = 0.05
# Tiles of one kind have equally large texts, but one that is far longer makes the others no smaller
# than this share. Small print is clearly smaller than what it explains.
_LEAST_SHARE, _LEAST_OF_TITLES, _MOST_OF_PRINT = 0.5, 0.7, 0.9
_SIGNS = {DELETE: key_sign(Key.DELETE), SHIFT: letter_sign(SHIFT), SPACE: letter_sign(SPACE)}


class Tile(ButtonBehavior, FloatLayout):  # type: ignore[misc]
    """How an item is drawn. `on_key` gets its key when it is pressed.

    Creating one takes some 10 ms, so pages share them: `show` gives it another item.
    """

    back = ColorProperty(DEFAULT.background)
    ink = ColorProperty(DEFAULT.text)
    more = StringProperty("")
    begins = StringProperty("left")
    right_to_left = BooleanProperty(False)
    ticked = BooleanProperty(False)
    touchable = BooleanProperty(True)
    inset = NumericProperty(0)
    lead = NumericProperty(0)
    # The largest shares of its height that its text may have, and its small print.
    most = NumericProperty(1)
    most_print = NumericProperty(1)

    def __init__(self, on_key: OnKey, theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item = Item("", "")
        self._on_key = on_key
        self._theme = theme
        self._fonts = FontBook(theme.font)
        self._said: object = None

    def show(self, item: Item, box: Box, *, right_to_left: bool) -> None:
        """Show `item` in a box of x, y, width and height."""
        theme, self.item = self._theme, item
        self.more, self.ticked, self.touchable = item.more, item.chosen is not None, bool(item.key)
        self.right_to_left = right_to_left
        self.begins = "right" if right_to_left else "left"
        share = KEY_BACK if item.key else _TELLS_BACK
        back, ink = mixed(theme.background, theme.text, share), theme.text
        if item.danger and item.more:
            # In a list a bar of that colour would be the first thing that is seen.
            ink = theme.no
        elif item.strong or item.danger:
            back, ink = theme.guide if item.strong else theme.no, theme.background
        self.back, self.ink = back, (*ink, 1)
        self.pos, self.size, self.opacity = box[:2], box[2:], 1
        self.most = self.most_print = 1
        shapes = _SIGNS.get(item.key, ())
        if item.chosen is not None:
            shapes = tick_sign(chosen=item.chosen)
        self.ids.sign.draw(shapes, self.ink[:3], self.back[:3])
        self.say(item.text)

    def hide(self) -> None:
        """Disappear, so that nobody sees or touches it."""
        self.item = Item("", "")
        # A rounded rectangle without a size stays as it was drawn.
        self.pos, self.size, self.opacity = (-1, -1), (0, 0), 0
        self.say("")

    def say(self, text: str) -> None:
        """Show this text, unless there is a sign for it."""
        more = self.item.more
        if self.item.key in _SIGNS:
            text = ""
        turned = self.right_to_left
        most = (self.most, self.most_print)
        said = (text, more, turned, self.ticked, self.touchable, *most, *self.size)
        if said == self._said:
            return
        self._said = said
        self.ids.text.say(text, self._fonts, right_to_left=turned)
        self.ids.more.say(more, self._fonts, right_to_left=turned)

    def at_most(self, text_px: float, print_px: float) -> None:
        """Limit the sizes of the text and of the small print below it."""
        self.most = (text_px + 0.5) / self.height
        self.most_print = (print_px + 0.5) / self.height
        self.say(self.item.text)

    def on_press(self) -> None:
        """Kivy calls this when it is pressed."""
        if self.item.key:
            self._on_key(self.item.key)


def even(tiles: Sequence[Tile]) -> None:
    """Give these the same sizes of text, since they are of one kind."""
    _level([tile for tile in tiles if not tile.item.more], _LEAST_SHARE)
    _level([tile for tile in tiles if tile.item.more], _LEAST_OF_TITLES)


def _level(tiles: Sequence[Tile], least: float) -> None:
    texts, prints = [tile.ids.text for tile in tiles], [tile.ids.more for tile in tiles]
    least_px = int(least * max((text.font_px for text in texts), default=0))
    least_print_px = int(_LEAST_SHARE * max((text.font_px for text in prints), default=0))
    too_large = list(tiles)
    while too_large:
        text_px = max(min(text.font_px for text in texts), least_px)
        print_px = max(min(text.font_px for text in prints), least_print_px)
        print_px = min(print_px, max(1, int(_MOST_OF_PRINT * text_px)))
        too_large = [
            tile
            for tile in tiles
            if tile.ids.text.font_px > text_px or tile.ids.more.font_px > print_px
        ]
        for tile in too_large:
            # What then fits into fewer lines may become smaller still, hence the loop.
            tile.at_most(text_px, print_px)


class StaffButton(Tile):
    """Opens the administration; small and dim, as it is not for visitors."""

    def __init__(self, on_open: Callable[[], None], theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(lambda _key: on_open(), theme, **kwargs)
        self._shown: object = None

    def stand(self, stage: Any, language: Language, *, there: bool) -> None:
        """Place it in the upper right corner of `stage`, if it is wanted."""
        if not there:
            if self.parent is not None:
                stage.remove_widget(self)
            return
        if self.parent is None:
            # Below the administration's own pages.
            stage.add_widget(self, index=max(0, len(stage.children) - 1))
        side, edge = 0.12 * min(stage.size), 0.03 * min(stage.size)
        box = (stage.right - edge - 1.5 * side, stage.top - edge - side, 1.5 * side, side)
        if (box, language.code) == self._shown:
            return
        self._shown = box, language.code
        item = Item("staff", language.say(N_("Staff")))
        self.show(item, box, right_to_left=language.right_to_left)
        back, text = self._theme.background, self._theme.text
        self.back, self.ink = mixed(back, text, KEY_BACK / 2), (*mixed(back, text, 0.6), 1)


Builder.load_file(str(Path(__file__).with_name("admin.kv")))
