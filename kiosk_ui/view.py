"""The one widget of the screen: draws a ScreenState as it looks at a given moment.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kivy.core.image import Image as CoreImage
from kivy.graphics import Color, InstructionGroup, Rectangle
from kivy.graphics.texture import Texture
from kivy.lang import Builder
from kivy.properties import (
    BooleanProperty,
    ColorProperty,
    ListProperty,
    NumericProperty,
    ObjectProperty,
)
from kivy.uix.floatlayout import FloatLayout

from oneglance import MAX_PICTURE_PIXELS
from oneglance.kiosk_ui.fonts import CLOCK_FONT, FontBook
from oneglance.kiosk_ui.language import Language
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.kiosk_ui.pad_view import OnKey, PadKey, PinKeys
from oneglance.kiosk_ui.palette import BACKGROUND, DEFAULT, Rgb, Theme, mixed
from oneglance.kiosk_ui.parts import forget, texture_of
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.soft_pixels import glow_pixels
from oneglance.kiosk_ui.symbols import SETTLED_S, fade, moment, symbol
from oneglance.kiosk_ui.words import WORDS, date_of, time_of

log = logging.getLogger(__name__)

_GLOW_SIDE_PX = 256
_BACKDROP_STEPS = 256
# How strong the glow behind a symbol is while a face is looked for.
_GLOW = {Kind.LOOK_HERE: 0.16, Kind.CHECKING: 0.16, Kind.CHALLENGE: 0.16}
# How much of the way to its new value the progress ring moves in one frame.
_PROGRESS_STEP = 0.25
_PROGRESS_DONE = 0.004
# The logo's share of the shorter side.
_LOGO_SHARE = 0.12


class KioskView(FloatLayout):  # type: ignore[misc]
    """The whole screen. `show` is called once a frame.

    `on_key`, which may be set at any time, is called for each touch of a pad's key.
    """

    upright = BooleanProperty(False)
    padded = BooleanProperty(False)
    idle = BooleanProperty(False)
    # Whether the visitors' own picture is behind the words, which then leave it most of the room.
    pictured = BooleanProperty(False)
    margin = NumericProperty(0)
    symbol_side = NumericProperty(0)
    symbol_top = NumericProperty(0)
    idle_eye = NumericProperty(0)
    pad_edge = NumericProperty(0)
    pad_side = NumericProperty(0)
    backdrop = ObjectProperty(None, allownone=True)
    # A picture hides the backdrop from this share of the height upwards, across so much of the
    # width, in the middle. In software, drawing it below the picture costs more than the picture.
    hidden_from = NumericProperty(1)
    hidden_across = NumericProperty(0)
    accent = ColorProperty(BACKGROUND)
    light = NumericProperty(0)
    # How much the screen is dimmed, from 0 to 1.
    dimmed = NumericProperty(0)
    glow = ObjectProperty(None, allownone=True)
    logo = ObjectProperty(None, allownone=True)
    logo_size = ListProperty([0, 0])

    def __init__(
        self,
        on_key: OnKey = lambda _: None,
        language: Language | None = None,
        theme: Theme = DEFAULT,
        door: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._behind = [Rectangle() for _ in range(3)]
        behind = InstructionGroup()
        for part in (Color(1, 1, 1), *self._behind):
            behind.add(part)
        self.canvas.before.insert(0, behind)
        self.bind(
            **dict.fromkeys(
                ("pos", "size", "backdrop", "hidden_from", "hidden_across"), self._lay_backdrop
            )
        )
        self.language = language or Language()
        self.theme = theme
        self._door = door
        self._fonts = FontBook(theme.font)
        self._clock_fonts = FontBook(theme.font or CLOCK_FONT)
        self.on_key = on_key
        self._opener = PadKey(Key.OPEN, self._touched, "PIN", theme)
        self._closer = PadKey(Key.CLOSE, self._touched, "", theme)
        self._keys = PinKeys(self._touched, theme)
        self._backdrops: dict[Rgb, Any] = {}
        if theme.logo is not None:
            self.logo = _logo(theme.logo)
        if self.logo is not None:
            self.bind(size=lambda *_: self._size_logo())
        self._shown: object = None
        self._said: dict[str, object] = {}
        self._named = False
        self._progress = 0.0

    def show(
        self,
        state: ScreenState,
        now_s: float,
        wall: datetime | None = None,
        *,
        animated: bool = True,
    ) -> None:
        """Draw `state` as it looks at `now_s`; without animation, as it looks when settled.

        While nobody is there the screen is a clock, if it is given the time at its door, `wall`.
        What is already shown is not drawn again.
        """
        age_s = self._moment(state, now_s)
        self._progress = self._glided(state) if animated else state.progress
        clock = time_of(wall) if wall is not None and state.kind is Kind.IDLE else ""
        looks = (self.pictured, self.language.code, *self.size)
        wanted = (state, age_s, animated, self._progress, clock, *looks)
        if wanted == self._shown:
            return
        self._shown = wanted
        self.idle = bool(clock)
        self._show_pad(state)
        visible = fade(age_s) if animated else 1.0
        self._paint(state, age_s, visible)
        self._write(state, clock, wall, visible)

    def moves(self, state: ScreenState, now_s: float) -> bool:
        """Whether `state` will look different in a moment, so that `show` is needed soon."""
        age_s = max(0.0, now_s - state.since_s)
        return self._gap > _PROGRESS_DONE or self._moment(state, now_s) == age_s

    def covered(self, state: ScreenState) -> bool:
        """Whether the picture replaces the symbol of `state`."""
        # An arrow must be visible; an eye or a face can be seen in the picture itself.
        return self.pictured and state.kind is not Kind.CHALLENGE

    def _touched(self, key: str) -> None:
        self.on_key(key)

    def _moment(self, state: ScreenState, now_s: float) -> float:
        age_s = moment(state, max(0.0, now_s - state.since_s))
        # A symbol that a picture replaces need not move behind it.
        return min(age_s, SETTLED_S) if self.covered(state) else age_s

    def _paint(self, state: ScreenState, age_s: float, visible: float) -> None:
        theme, kind = self.theme, state.kind
        accent = theme.accent(kind)
        self.accent = list(accent)
        self.light = visible * _GLOW.get(kind, 0.0)
        if self.light and self.glow is None:
            # Only now, as the first picture has none and need not wait for it.
            self.glow = texture_of(_GLOW_SIDE_PX, glow_pixels(_GLOW_SIDE_PX))
        self.backdrop = self._backdrop(theme.foot(kind))
        drawn = symbol(_with_progress(state, self._progress), age_s)
        if self.covered(state):
            drawn = ()
        # What is cut out of a symbol shows the background, as it is half-way down.
        back = mixed(theme.background, theme.foot(kind), 0.4)
        self.ids.symbol.draw(drawn, mixed(back, accent, visible), back)

    def _write(self, state: ScreenState, clock: str, wall: datetime | None, visible: float) -> None:
        say, theme = self.language.say, self.theme
        if self._named and not state.name:
            forget()
        self._named = bool(state.name)
        values = {"name": state.name, "left": state.left}
        message = state.title
        if state.name and not self._fonts.draws(state.name):
            # "Welcome, " and then nothing would be worse.
            message = WORDS[state.kind][0]
        title = clock or say(message, **values)
        date = date_of(wall, say) if clock and wall is not None else ""
        self._say("title", title, self._clock_fonts if clock else self._fonts)
        self._say("line", say(state.line, **values), self._fonts)
        self._say("date", date, self._fonts)
        self._say("door", self._door if clock else "", self._fonts)
        self._say("note", state.note, self._fonts)
        self.ids.title.color = (*theme.text, visible)
        quiet = (*theme.quiet, visible)
        for name in ("line", "date", "door", "note"):
            self.ids[name].color = quiet

    def _say(self, name: str, text: str, fonts: FontBook) -> None:
        label = self.ids[name]
        said = (text, tuple(label.size), label.font_share, self.language.code)
        if said != self._said.get(name):
            self._said[name] = said
            label.say(text, fonts, right_to_left=self.language.right_to_left)

    def _backdrop(self, foot: Rgb) -> Any:
        if foot not in self._backdrops:
            top = self.theme.background
            rows = (mixed(foot, top, i / (_BACKDROP_STEPS - 1)) for i in range(_BACKDROP_STEPS))
            pixels = bytes(round(255 * part) for row in rows for part in row)
            texture = Texture.create(size=(1, _BACKDROP_STEPS), colorfmt="rgb")
            texture.wrap = "clamp_to_edge"
            texture.blit_buffer(pixels, colorfmt="rgb", bufferfmt="ubyte")
            self._backdrops[foot] = texture
        return self._backdrops[foot]

    def _lay_backdrop(self, *_: object) -> None:
        """All of it, or what a picture leaves free: below it, and on both sides."""
        low, side = self.hidden_from, (1 - self.hidden_across) / 2
        shares = ((0, 0, 1, low), (0, low, side, 1 - low), (1 - side, low, side, 1 - low))
        for part, (x, y, width, height) in zip(self._behind, shares, strict=True):
            part.texture = self.backdrop
            # Only now: a new texture brings its own.
            part.tex_coords = (0, y, 1, y, 1, y + height, 0, y + height)
            part.pos = (self.x + x * self.width, self.y + y * self.height)
            part.size = (width * self.width, height * self.height)

    def _size_logo(self) -> None:
        width, height = self.logo.size
        scale = min(_LOGO_SHARE * min(self.size) / height, 0.5 * self.width / width)
        self.logo_size = [scale * width, scale * height]

    def _show_pad(self, state: ScreenState) -> None:
        """What is not shown is removed, so that it cannot be touched."""
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
            self._gap = 0.0
            return state.progress
        self._gap = abs(state.progress - self._progress)
        if self._gap <= _PROGRESS_DONE:
            return state.progress
        return self._progress + _PROGRESS_STEP * (state.progress - self._progress)

    _gap = 0.0


def _logo(file: Path) -> Any:
    """The picture for the graphics card; None, and a line in the log, if it is none."""
    from PIL import Image

    try:
        # Its size stands in its header; decoding thousands of megapixels would end the screen.
        with Image.open(file) as opened:
            width, height = opened.size
        if width * height > MAX_PICTURE_PIXELS:
            raise ValueError(f"{width} x {height} pixels are too many")
        return CoreImage(str(file)).texture
    except Exception as error:
        log.warning("the screen has no logo: %s cannot be read: %s", file, error)
        return None


def _with_progress(state: ScreenState, progress: float) -> ScreenState:
    return replace(state, progress=round(min(1.0, max(0.0, progress)), 4))


Builder.load_file(str(Path(__file__).with_name("kiosk.kv")))
