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

from oneglance.kiosk_ui.pad_view import OnKey, PadKey, PinKeys
from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, GLOW, LINE, TITLE, mixed
from oneglance.kiosk_ui.parts import texture_of
from oneglance.kiosk_ui.pin_pad import Key
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.soft_pixels import glow_pixels
from oneglance.kiosk_ui.symbols import fade, symbol

_GLOW_SIDE_PX = 256
# The part of the way to its new value that the progress ring goes in one frame.
_PROGRESS_STEP = 0.25


class KioskView(FloatLayout):  # type: ignore[misc]
    """The whole screen. `show` is called once a frame; `on_key` hears each touch of a pad's key."""

    upright = BooleanProperty(False)
    padded = BooleanProperty(False)
    margin = NumericProperty(0)
    symbol_side = NumericProperty(0)
    symbol_top = NumericProperty(0)
    pad_edge = NumericProperty(0)
    pad_side = NumericProperty(0)
    background = ColorProperty(BACKGROUND)
    accent = ColorProperty(BACKGROUND)
    light = NumericProperty(0)
    glow = ObjectProperty(None, allownone=True)

    def __init__(self, on_key: OnKey = lambda _: None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._opener = PadKey(Key.OPEN, on_key, "PIN")
        self._closer = PadKey(Key.CLOSE, on_key)
        self._keys = PinKeys(on_key)
        self.glow = texture_of(_GLOW_SIDE_PX, glow_pixels(_GLOW_SIDE_PX))
        self._said: object = None
        self._progress = 0.0

    def show(self, state: ScreenState, now_s: float, *, animated: bool = True) -> None:
        """Draw `state` as it looks at `now_s`; without animation, as it looks when settled."""
        age_s = max(0.0, now_s - state.since_s)
        self._progress = self._glided(state) if animated else state.progress
        self._show_pad(state)
        visible = fade(age_s) if animated else 1.0
        accent = ACCENTS[state.kind]
        self.accent = list(accent)
        self.light = visible * GLOW[state.kind]
        drawn = symbol(_with_progress(state, self._progress), age_s)
        self.ids.symbol.draw(drawn, mixed(BACKGROUND, accent, visible))
        said = (state.title, state.line, self.padded, tuple(self.size))
        if said != self._said:
            self._said = said
            self.ids.title.say(state.title)
            self.ids.line.say(state.line)
        self.ids.title.color = (*TITLE, visible)
        self.ids.line.color = (*LINE, visible)

    def _show_pad(self, state: ScreenState) -> None:
        """What is not to be seen is not there, so that it cannot be touched."""
        self.padded = state.kind is Kind.PIN_PAD
        for part, wanted in (
            (self._opener, state.offers_pad),
            (self._closer, self.padded),
            (self._keys, self.padded),
        ):
            if wanted and part.parent is None:
                self.add_widget(part)
            elif not wanted and part.parent is not None:
                self.remove_widget(part)
        edge, side = self.pad_edge, self.pad_side
        for key in (self._opener, self._closer):
            if key.parent is not None:
                key.size = (side, side)
                key.pos = (self.x + edge, self.top - edge - side)
                key.reach = edge
                key.show()
        if self.padded:
            self._keys.pos = self.ids.pad.pos
            self._keys.size = self.ids.pad.size
            self._keys.show(state)

    def _glided(self, state: ScreenState) -> float:
        if state.kind is not Kind.CHECKING:
            return state.progress
        return self._progress + _PROGRESS_STEP * (state.progress - self._progress)


def _with_progress(state: ScreenState, progress: float) -> ScreenState:
    return replace(state, progress=round(min(1.0, max(0.0, progress)), 4))


Builder.load_file(str(Path(__file__).with_name("kiosk.kv")))
