"""The visitors' own picture behind the words: mirrored, with the face's outline; hidden when old.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

import io
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

from kivy.core.image import Image as CoreImage
from kivy.graphics import Color, Rectangle
from kivy.lang import Builder
from kivy.properties import ColorProperty, ListProperty
from kivy.uix.widget import Widget

from oneglance.contract.preview_lease import Shot
from oneglance.kiosk_ui.palette import BACKGROUND, DEFAULT, TITLE, Theme
from oneglance.kiosk_ui.parts import KioskLabel  # noqa: F401 - preview.kv uses it
from oneglance.kiosk_ui.preview_place import Placed, glided, head, oval, placed
from oneglance.kiosk_ui.screen import PICTURED, Kind, ScreenState

log = logging.getLogger(__name__)

# How dark the picture is: normally, behind a symbol that must be readable, and when it is old.
_VEIL, _VEIL_SYMBOL, _VEIL_OLD = 0.08, 0.62, 0.5
# Above the words it fades into the background, in this many strips.
_FADE, _STRIPS, _ABOVE_WORDS = 0.13, 20, 0.02
# Where it is narrower than the screen, each side does so too: its share, in so many strips.
_SIDE, _SIDE_STRIPS = 0.14, 14


class LivePicture(Widget):  # type: ignore[misc]
    """Fills its parent. `show` is called once per frame, and draws only what is new."""

    accent = ColorProperty(BACKGROUND)
    said = ColorProperty(TITLE)
    outline = ListProperty()
    done = ListProperty()

    def __init__(self, theme: Theme = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._theme = theme
        with self.canvas.before:
            self._strips = [(Color(0, 0, 0, 0), Rectangle()) for _ in range(_STRIPS + 1)]
            self._sides = [(Color(0, 0, 0, 0), Rectangle()) for _ in range(2 * _SIDE_STRIPS)]
        self._number = 0
        self._whole: Any = None
        self._view: Any = None
        self._seen: Placed | None = None
        self._drawn: object = None

    @property
    def visible(self) -> bool:
        """Whether there is a picture on the screen."""
        return self._whole is not None

    def under(self, view: Any) -> None:
        """From now on, stay behind everything that `view`, a KioskView, says."""
        view.add_widget(self, index=len(view.children))
        self._view, self._theme = view, view.theme

    def show(self, shot: Shot | None, state: ScreenState) -> None:
        """Draw `shot` behind what `state` says, in place of its symbol."""
        title = self._view.ids.title
        _, low, _, tall = title.ink
        self.draw(shot, state, min(title.top, low + tall + _ABOVE_WORDS * self.height))
        self._view.pictured = self.visible
        self._view.ids.symbol.opacity = 0 if self._view.covered(state) else 1

    def draw(self, shot: Shot | None, state: ScreenState, words_top: float) -> None:
        """Draw `shot` above `words_top`, in px, with the progress of `state`."""
        if shot is None or state.kind not in PICTURED:
            self._clear()
            return
        age = f"{shot.age_s:.1f} s" if shot.stale else ""
        wanted = (shot.number, age, state.kind, tuple(self.size), words_top)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        if shot.number != self._number:
            self._number = shot.number
            self._whole = _texture(shot.jpeg) or self._whole
        if self._whole is None:
            return
        self.ids.age.say(age)
        self._place(shot, state, words_top)

    def _place(self, shot: Shot, state: ScreenState, words_top: float) -> None:
        box = (self.width, self.top - words_top)
        seen = placed(shot.size_px, box, shot.face, 0.54)
        seen = self._seen = glided(self._seen, seen)
        asked = state.kind is Kind.CHALLENGE
        veil = _VEIL_SYMBOL if asked else _VEIL_OLD if shot.stale else _VEIL
        self._paint(seen, words_top, 1 - veil)
        self.accent = self._theme.accent(state.kind)
        if shot.face is None or asked or shot.stale:
            self.outline, self.done = [], []
            return
        middle, radius_x, radius_y = head(shot.face, seen, box)
        middle = (self.x + middle[0], words_top + middle[1])
        self.outline = oval(middle, radius_x, radius_y)
        self.done = oval(middle, radius_x, radius_y, state.progress)

    def _paint(self, seen: Placed, bottom: float, light: float) -> None:
        """The visible part of the picture, fading out towards `bottom`."""
        width, height = self._whole.size
        part = self._whole.get_region(
            *(seen.x * width, seen.y * height), *(seen.width * width, seen.height * height)
        )
        # A mirror.
        part.flip_horizontal()
        left, low, right, _, _, high, *_ = part.tex_coords
        tall = self.top - bottom
        wide = seen.across * self.width
        edge_x = self.x + (self.width - wide) / 2
        faded = min(1.0, _FADE * self.height / max(1.0, tall))
        edges = [faded * i / _STRIPS for i in range(_STRIPS + 1)] + [1.0]
        for (colour, strip), (down, up) in zip(self._strips, pairwise(edges), strict=True):
            share = min(1.0, (down + up) / 2 / faded)
            colour.rgba = (light, light, light, share * share * (3 - 2 * share))
            strip.texture = part
            below, above = (low + edge * (high - low) for edge in (down, up))
            strip.tex_coords = (left, below, right, below, right, above, left, above)
            strip.pos = (edge_x, bottom + down * tall)
            strip.size = (wide, (up - down) * tall)
        self._fade_sides(edge_x, wide, bottom, tall)
        # A pixel less, so that rounding leaves no gap.
        self._hide(bottom - self.y + faded * tall + 1, wide - 2)

    def _hide(self, from_px: float, across_px: float) -> None:
        """What is behind the picture need not be drawn above `from_px`, `across_px` wide."""
        if self._view is not None:
            self._view.hidden_from = min(1.0, from_px / self.height)
            self._view.hidden_across = max(0.0, across_px / self.width)

    def _fade_sides(self, x: float, wide: float, bottom: float, tall: float) -> None:
        """Lay what is behind the picture over its sides, more and more outwards."""
        behind = None if self._view is None else self._view.backdrop
        colour = self._theme.background if behind is None else (1.0, 1.0, 1.0)
        faded = 0.0 if wide >= self.width - 1 else _SIDE * wide / _SIDE_STRIPS
        low = (bottom - self.y) / self.height
        for i, (tint, strip) in enumerate(self._sides):
            number, right = divmod(i, 2)
            share = 1 - (number + 0.5) / _SIDE_STRIPS
            tint.rgba = (*colour, share * share * (3 - 2 * share) if faded else 0)
            strip.texture = behind
            strip.tex_coords = (0, low, 1, low, 1, 1, 0, 1)
            inwards = number * faded
            strip.pos = (x + wide - inwards - faded if right else x + inwards, bottom)
            strip.size = (faded, tall)

    def _clear(self) -> None:
        if self._drawn is None and self._whole is None:
            return
        self._drawn, self._seen, self._number = None, None, 0
        self._whole = None
        for colour, strip in (*self._strips, *self._sides):
            colour.a = 0
            strip.texture = None
        self._hide(self.height, 0)
        self.outline, self.done = [], []
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


Builder.load_file(str(Path(__file__).with_name("preview.kv")))
