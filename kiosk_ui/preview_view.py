"""The visitors' own picture behind the words: mirrored, with the face's outline; gone when old.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

from kivy.core.image import Image as CoreImage
from kivy.graphics.texture import Texture
from kivy.lang import Builder
from kivy.properties import ColorProperty, ListProperty, NumericProperty, ObjectProperty
from kivy.uix.widget import Widget

from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, TITLE
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - preview.kv uses it
from oneglance.kiosk_ui.preview_lease import PICTURED, Shot
from oneglance.kiosk_ui.preview_place import Placed, glided, head, oval, placed
from oneglance.kiosk_ui.screen import Kind, ScreenState

log = logging.getLogger(__name__)

# How dark the picture is: behind words, behind a symbol that must be read, and when it is old.
_SHADE_STEPS = 64
_VEIL, _VEIL_SYMBOL, _VEIL_OLD = 0.08, 0.62, 0.5
_BEHIND_WORDS, _SHADE_ABOVE_WORDS = 0.12, 0.1


class LivePicture(Widget):  # type: ignore[misc]
    """Fills its parent. `show` is called once a frame, and draws only what is new."""

    texture = ObjectProperty(None, allownone=True)
    dark = ColorProperty(BACKGROUND)
    accent = ColorProperty(BACKGROUND)
    said = ColorProperty(TITLE)
    veil = NumericProperty(0)
    shade = ObjectProperty(None, allownone=True)
    shade_height = NumericProperty(0)
    # Width and height of what the picture fills, from the top of the screen down.
    box = ListProperty([1, 1])
    outline = ListProperty()
    done = ListProperty()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shade = _shade()
        self._number = 0
        self._whole: Any = None
        self._view: Any = None
        self._seen: Placed | None = None
        self._drawn: object = None

    @property
    def visible(self) -> bool:
        """Whether there is a picture on the screen."""
        return self.texture is not None

    def under(self, view: Any) -> None:
        """Stand behind all that `view`, a KioskView, says, from now on."""
        view.add_widget(self, index=len(view.children))
        self._view = view

    def show(self, shot: Shot | None, state: ScreenState) -> None:
        """Draw `shot` behind what `state` says, and in the place of its symbol."""
        words_top = self._view.ids.title.top
        self.draw(shot, state, words_top)
        # An arrow must be seen; an eye or a face is the picture's own business.
        instead = self.visible and state.kind is not Kind.CHALLENGE
        self._view.ids.symbol.opacity = 0 if instead else 1

    def draw(self, shot: Shot | None, state: ScreenState, words_top: float) -> None:
        """Draw `shot` above `words_top`, in px, with the progress of `state`."""
        if shot is None or state.kind not in PICTURED:
            self._clear()
            return
        wanted = (shot.number, shot.stale, state.kind, tuple(self.size), words_top)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        if shot.number != self._number:
            self._number = shot.number
            self._whole = _texture(shot.jpeg) or self._whole
        if self._whole is None:
            return
        self._place(shot, state, words_top)

    def _place(self, shot: Shot, state: ScreenState, words_top: float) -> None:
        bottom = max(self.y, words_top - _BEHIND_WORDS * self.height)
        box = self.box = (self.width, self.top - bottom)
        wanted_y = ((words_top + self.top) / 2 - bottom) / box[1]
        seen = placed(shot.size_px, box, shot.face, wanted_y)
        seen = self._seen = glided(self._seen, seen)
        width, height = self._whole.size
        part = self._whole.get_region(
            *(seen.x * width, seen.y * height), *(seen.width * width, seen.height * height)
        )
        # A mirror.
        part.flip_horizontal()
        self.texture = part
        self.accent = ACCENTS[state.kind]
        self.shade_height = words_top - bottom + _SHADE_ABOVE_WORDS * self.height
        asked = state.kind is Kind.CHALLENGE
        self.veil = _VEIL_SYMBOL if asked else _VEIL_OLD if shot.stale else _VEIL
        self.ids.age.say(f"{shot.age_s:.1f} s" if shot.stale else "")
        if shot.face is None or asked or shot.stale:
            self.outline, self.done = [], []
            return
        middle, radius_x, radius_y = head(shot.face, seen, box)
        middle = (self.x + middle[0], bottom + middle[1])
        self.outline = oval(middle, radius_x, radius_y)
        self.done = oval(middle, radius_x, radius_y, state.progress)

    def _clear(self) -> None:
        if self._drawn is None and self.texture is None:
            return
        self._drawn, self._seen, self._number = None, None, 0
        self.texture = self._whole = None
        self.outline, self.done = [], []
        self.shade_height = self.veil = 0
        self.ids.age.say("")


def _texture(jpeg: bytes) -> Any:
    """The picture for the graphics card; None, and a line in the log, if it cannot be decoded."""
    kivy = logging.getLogger("kivy")
    kivy.disabled = True
    try:
        return CoreImage(io.BytesIO(jpeg), ext="jpg", nocache=True).texture
    except Exception as error:
        log.warning("a picture that cannot be decoded is left out: %s", error)
        return None
    finally:
        kivy.disabled = False


def _shade() -> Any:
    texture = Texture.create(size=(1, _SHADE_STEPS), colorfmt="rgba")
    rgb = bytes(round(255 * part) for part in BACKGROUND)
    rows = (min(1.0, 1.9 * (1 - i / (_SHADE_STEPS - 1))) for i in range(_SHADE_STEPS))
    pixels = b"".join(rgb + bytes([round(255 * row)]) for row in rows)
    texture.blit_buffer(pixels, colorfmt="rgba", bufferfmt="ubyte")
    return texture


Builder.load_file(str(Path(__file__).with_name("preview.kv")))
