"""The one widget of the screen: draws a ScreenState as it looks at a given moment.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kivy.lang import Builder
from kivy.properties import BooleanProperty, ColorProperty, NumericProperty, ObjectProperty
from kivy.uix.floatlayout import FloatLayout

from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, GLOW, LINE, TITLE, mixed
from oneglance.kiosk_ui.parts import texture_of
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.soft_pixels import glow_pixels
from oneglance.kiosk_ui.symbols import fade, symbol

_GLOW_SIDE_PX = 256
# The part of the way to its new value that the progress ring goes in one frame.
_PROGRESS_STEP = 0.25


class KioskView(FloatLayout):  # type: ignore[misc]
    """The whole screen. `show` is called once a frame."""

    upright = BooleanProperty(False)
    margin = NumericProperty(0)
    symbol_side = NumericProperty(0)
    symbol_top = NumericProperty(0)
    background = ColorProperty(BACKGROUND)
    accent = ColorProperty(BACKGROUND)
    light = NumericProperty(0)
    glow = ObjectProperty(None, allownone=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.glow = texture_of(_GLOW_SIDE_PX, glow_pixels(_GLOW_SIDE_PX))
        self._said: object = None
        self._progress = 0.0

    def show(self, state: ScreenState, now_s: float, *, animated: bool = True) -> None:
        """Draw `state` as it looks at `now_s`; without animation, as it looks when settled."""
        age_s = max(0.0, now_s - state.since_s)
        self._progress = self._glided(state) if animated else state.progress
        visible = fade(age_s) if animated else 1.0
        accent = ACCENTS[state.kind]
        self.accent = list(accent)
        self.light = visible * GLOW[state.kind]
        drawn = symbol(_with_progress(state, self._progress), age_s)
        self.ids.symbol.draw(drawn, mixed(BACKGROUND, accent, visible))
        said = (state.title, state.line, tuple(self.size))
        if said != self._said:
            self._said = said
            self.ids.title.say(state.title)
            self.ids.line.say(state.line)
        self.ids.title.color = (*TITLE, visible)
        self.ids.line.color = (*LINE, visible)

    def _glided(self, state: ScreenState) -> float:
        if state.kind is not Kind.CHECKING:
            return state.progress
        return self._progress + _PROGRESS_STEP * (state.progress - self._progress)


def _with_progress(state: ScreenState, progress: float) -> ScreenState:
    return replace(state, progress=round(min(1.0, max(0.0, progress)), 4))


Builder.load_file(str(Path(__file__).with_name("kiosk.kv")))
