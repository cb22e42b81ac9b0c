"""The Verify button below the words; while it is there, the rest of the screen is that much lower.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import ColorProperty, ListProperty
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, KEY_BACK, TITLE, mixed
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - verify.kv uses it
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.verify_button import Button

# Its share of the screen's height: on a 7" panel of 800 x 480 the pill is 13 mm tall.
BAR, BAR_UPRIGHT = 0.2, 0.13
_BACK = mixed(BACKGROUND, TITLE, KEY_BACK)


class VerifyBar(FloatLayout):  # type: ignore[misc]
    """`show` is called once a frame; `on_press` hears each touch of it while it is ready."""

    background = ColorProperty(BACKGROUND)
    back = ColorProperty(BACKGROUND)
    pill = ListProperty([0, 0, 1, 1])

    def __init__(self, on_press: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._on_press = on_press
        self._button = Button(there=False, ready=False, text="")
        self._said: object = None

    def show(self, button: Button, stage: Any, view: Any) -> None:
        """Draw `button` at the foot of `stage`, and make room for it below `view`."""
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
        self.back = ACCENTS[Kind.LOOK_HERE] if button.ready else _BACK
        said = (button.text, tuple(self.pill))
        if said != self._said:
            self._said = said
            self.ids.text.say(button.text)
        words = BACKGROUND if button.ready else mixed(_BACK, TITLE, 0.8)
        self.ids.text.color = (*words, 1)

    def on_touch_down(self, touch: Any) -> bool:
        """Kivy's: a touch counts as it begins."""
        if not self.collide_point(*touch.pos):
            return False
        if self._button.ready and getattr(touch, "button", "left") == "left":
            self._on_press()
        return True


Builder.load_file(str(Path(__file__).with_name("verify.kv")))
