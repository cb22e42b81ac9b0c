"""The keys of the PIN pad, and the button that opens it.

No key lights up under a finger: somebody who watches or films the screen from afar could read the
PIN. The dot that each digit adds shows that it was taken. Import this only after
`kivy_window.open_window`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import BooleanProperty, ColorProperty, NumericProperty
from kivy.uix.floatlayout import FloatLayout
from kivy.uix.widget import Widget

from oneglance.kiosk_ui.pad_keys import DIGITS, FEWEST_DIGITS, Key
from oneglance.kiosk_ui.palette import BACKGROUND, DEFAULT, KEY_BACK, KEY_DIM, Theme, mixed
from oneglance.kiosk_ui.screen import ScreenState
from oneglance.kiosk_ui.symbols import key_sign

_ROWS = (("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"), (Key.DELETE, "0", Key.SEND))

OnKey = Callable[[str], None]


class PadKey(FloatLayout):  # type: ignore[misc]
    """One key, with a sign or a text. `reach` is how far around it a touch still counts, in px."""

    back = ColorProperty(BACKGROUND)
    reach = NumericProperty(0)
    labelled = BooleanProperty(False)
    sign_share = NumericProperty(0.5)

    def __init__(
        self, key: str, on_key: OnKey, text: str = "", theme: Theme = DEFAULT, **kwargs: Any
    ) -> None:
        self.key = key
        self._theme = theme
        self._plain = mixed(theme.background, theme.text, KEY_BACK)
        self._on_key = on_key
        self._text = text
        super().__init__(**kwargs)
        self.labelled = key is Key.OPEN
        self.sign_share = 0.6 if key in (Key.DELETE, Key.SEND) else 0.5
        self._said: object = None

    def show(self, *, lit: bool = True, can: bool = True) -> None:
        """Draw it: in the colour of a yes if `lit`, and dim unless it `can` be pressed."""
        theme = self._theme
        sends = lit and self.key is Key.SEND
        back = theme.yes if sends else self._plain
        sign = theme.background if sends else mixed(back, theme.text, _share(can))
        self.back = back
        if self.key not in DIGITS:
            self.ids.sign.draw(key_sign(Key(self.key)), sign, back)
        said = (self._text, tuple(self.ids.text.size))
        if said != self._said:
            self._said = said
            self.ids.text.say(self._text)
        self.ids.text.color = (*sign, 1)

    def collide_point(self, x: float, y: float) -> bool:
        """Whether a touch there hits this key."""
        reach = self.reach
        return bool(
            self.x - reach <= x < self.right + reach and self.y - reach <= y < self.top + reach
        )

    def on_touch_down(self, touch: Any) -> bool:
        """Called by Kivy: a touch counts as it begins, not when the finger is lifted."""
        if not self.collide_point(*touch.pos):
            return False
        if getattr(touch, "button", "left") == "left":
            self._on_key(self.key)
        return True


class PinKeys(Widget):  # type: ignore[misc]
    """Ten digits, and the keys for deleting one and for sending, as large as the widget allows."""

    def __init__(self, on_key: OnKey, theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rows = [
            [PadKey(key, on_key, key if key in DIGITS else "", theme) for key in row]
            for row in _ROWS
        ]
        for row in self._rows:
            for key in row:
                self.add_widget(key)

    def show(self, state: ScreenState) -> None:
        """Draw the keys as `state` has them."""
        gap = 0.022 * min(self.parent.size)
        width = (self.width - 2 * gap) / 3
        height = (self.height - 3 * gap) / 4
        for i, row in enumerate(self._rows):
            for j, key in enumerate(row):
                key.reach = gap / 2
                key.size = (width, height)
                key.pos = (self.x + j * (width + gap), self.top - height - i * (height + gap))
                key.show(
                    lit=not state.busy and state.digits >= FEWEST_DIGITS, can=_can(key.key, state)
                )


def _can(key: str, state: ScreenState) -> bool:
    if state.busy:
        return False
    if key is Key.SEND:
        return state.digits >= FEWEST_DIGITS
    return key is not Key.DELETE or state.digits > 0


def _share(can: bool) -> float:
    return 1.0 if can else KEY_DIM


Builder.load_file(str(Path(__file__).with_name("pad.kv")))
