"""The collecting window's one widget: the live picture, the face's outline, and what to do.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kivy.graphics.texture import Texture
from kivy.lang import Builder
from kivy.properties import ColorProperty, NumericProperty, ObjectProperty
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.collect_screen import CollectScreen
from oneglance.kiosk_ui.geometry import ring
from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, LINE, TITLE
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - collect.kv uses it
from oneglance.kiosk_ui.screen import Kind

# How far the flash of a taken picture fades in one frame.
_FLASH_STEP = 0.15


class CollectView(FloatLayout):  # type: ignore[misc]
    """The whole window. `show` is called once a frame."""

    background = ColorProperty(BACKGROUND)
    accent = ColorProperty(ACCENTS[Kind.LOOK_HERE])
    progress = NumericProperty(0)
    flash = NumericProperty(0)
    texture = ObjectProperty(None, allownone=True)
    picture_pos = ObjectProperty((0, 0))
    picture_size = ObjectProperty((1, 1))
    outline = ObjectProperty(())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._said: object = None
        self._kept: int | None = None
        self._shown: CollectScreen | None = None

    def show(self, screen: CollectScreen) -> None:
        """Draw `screen`; drawing the same one again only lets the flash fade."""
        self.flash = max(0.0, self.flash - _FLASH_STEP)
        if self._kept is not None and screen.kept > self._kept:
            self.flash = 0.8
        self._kept = screen.kept
        if screen is not self._shown:
            self._shown = screen
            self._blit(screen)
        self.accent = ACCENTS[Kind.WELCOME if screen.good else Kind.NOT_RECOGNISED]
        self.progress = screen.progress
        self._place(screen)
        said = (screen.text, screen.advice, tuple(self.size))
        if said != self._said:
            self._said = said
            self.ids.text.say(screen.text)
            self.ids.advice.say(screen.advice)
            self.ids.text.color, self.ids.advice.color = TITLE, LINE

    def _blit(self, screen: CollectScreen) -> None:
        size = (screen.width_px, screen.height_px)
        if self.texture is None or tuple(self.texture.size) != size:
            self.texture = Texture.create(size=size, colorfmt="rgb")
            # Textures start at the bottom, pictures at the top.
            self.texture.flip_vertical()
        self.texture.blit_buffer(screen.pixels, colorfmt="bgr", bufferfmt="ubyte")
        self.canvas.ask_update()

    def _place(self, screen: CollectScreen) -> None:
        """The picture, as large as its box allows, and the outline around the face in it."""
        box = self.ids.picture
        scale = min(box.width / screen.width_px, box.height / screen.height_px)
        width, height = scale * screen.width_px, scale * screen.height_px
        x, y = box.center_x - width / 2, box.center_y - height / 2
        self.picture_pos, self.picture_size = (x, y), (width, height)
        if screen.face is None:
            self.outline = ()
            return
        left, top, face_width, face_height = screen.face
        # A Haar box ends at the brows and chin, and the head is a little taller.
        middle = (
            x + (left + face_width / 2) * width,
            y + height - (top + face_height / 2) * height,
        )
        points = ring(middle, 0.5 * face_width * width, 0.62 * face_height * height)
        self.outline = [value for point in points for value in point]


Builder.load_file(str(Path(__file__).with_name("collect.kv")))
