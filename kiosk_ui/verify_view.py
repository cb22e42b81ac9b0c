"""The Verify button below the words; while it is shown, the rest of the screen has less height.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import ColorProperty, ListProperty
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.fonts import FontBook
from oneglance.kiosk_ui.language import Language
from oneglance.kiosk_ui.palette import DEFAULT, KEY_BACK, Rgb, Theme, mixed
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - verify.kv uses it
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.verify_button import Button

# Its share of the screen's height: on a 7" panel of 800 x 480, the button is 13 mm high.
BAR, BAR_UPRIGHT = 0.2, 0.13


class VerifyBar(FloatLayout):  # type: ignore[misc]
    """`show` is called once per frame; `on_press` is called for each touch while it is ready."""

    background = ColorProperty(DEFAULT.background)
    back = ColorProperty(DEFAULT.background)
    pill = ListProperty([0, 0, 1, 1])

    def __init__(
        self,
        on_press: Callable[[], None],
        language: Language | None = None,
        theme: Theme = DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._on_press = on_press
        self.language = language or Language()
        self._theme = theme
        self._fonts = FontBook(theme.font)
        self._button = Button(there=False, ready=False, text="")
        self._said: object = None

    def show(self, button: Button, stage: Any, view: Any, back: Rgb) -> None:
        """Draw `button` at the foot of `stage`, on `back`, and make room for it below `view`."""
        self._button = button
        if not button.there:
            if self.parent is not None:
                stage.remove_widget(self)
                view.size_hint_y, view.y = 1, stage.y
            return
        height = (BAR_UPRIGHT if stage.height > stage.width else BAR) * stage.height
        if self.parent is None:
            stage.add_widget(self)
        view.size_hint_y = 1 - height / stage.height
        view.y = stage.y + height
        self.pos, self.size = stage.pos, (stage.width, height)
        edge = 0.22 * height
        width = min(0.94 * stage.width, 9 * (height - edge))
        self.pill = [self.center_x - width / 2, self.y + edge, width, height - edge]
        theme = self._theme
        self.background = back
        dim = mixed(theme.background, theme.text, KEY_BACK)
        self.back = theme.accent(Kind.LOOK_HERE) if button.ready else dim
        said = (button.text, self.language.code, tuple(self.pill))
        if said != self._said:
            self._said = said
            text = self.language.say(button.text)
            right_to_left = self.language.right_to_left
            self.ids.text.say(text, self._fonts, right_to_left=right_to_left)
        words = theme.background if button.ready else mixed(dim, theme.text, 0.8)
        self.ids.text.color = (*words, 1)

    def on_touch_down(self, touch: Any) -> bool:
        """Called by Kivy: a touch counts as it begins."""
        if not self.collide_point(*touch.pos):
            return False
        if self._button.ready and getattr(touch, "button", "left") == "left":
            self._on_press()
        return True


Builder.load_file(str(Path(__file__).with_name("verify.kv")))
