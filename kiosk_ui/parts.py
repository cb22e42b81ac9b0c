"""What the screen is made of: symbols drawn from shapes, and text that fits its box.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kivy.core.text import Label as CoreLabel
from kivy.graphics import Color, Mesh, Rectangle
from kivy.graphics.texture import Texture
from kivy.lang import Builder
from kivy.properties import (
    BooleanProperty,
    ColorProperty,
    NumericProperty,
    OptionProperty,
    StringProperty,
)
from kivy.uix.widget import Widget

from oneglance.kiosk_ui import fonts
from oneglance.kiosk_ui.fonts import FontBook, Run
from oneglance.kiosk_ui.geometry import Fill, Point, Shape, Stroke, ribbon, smooth_pieces
from oneglance.kiosk_ui.palette import BACKGROUND, Rgb, mixed
from oneglance.kiosk_ui.soft_pixels import brush_pixels
from oneglance.kiosk_ui.text_fit import fit

# Text is measured at this size first; its width and height scale almost linearly with the font.
_MEASURED_PX = 100
# Noto's lines are far apart for the sake of its tallest letters. Those still fit in this share of
# the distance, and Arabic's rarest marks may reach into the next line.
_LEADING, _MOST_LEADING_EM = 0.94, 1.5
# Which share of the space that a line leaves free comes before it.
_SHARE_LEFT = {"left": 0.0, "center": 0.5, "right": 1.0}
# Computing a larger disc would delay a frame; the only larger ones have a ring over their edges.
_LARGEST_BRUSH_PX = 96


class Symbol(Widget):  # type: ignore[misc]
    """Draws shapes, whose coordinates run from -1 to 1, into its own box."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._drawn: object = None
        self._brushes: dict[float, Any] = {}
        self._brush_scale = 0.0

    def draw(self, shapes: tuple[Shape, ...], accent: Rgb, back: Rgb = BACKGROUND) -> None:
        """Show `shapes` in the colour `accent` over `back`, unless they are shown already."""
        wanted = (shapes, accent, back, tuple(self.pos), tuple(self.size))
        if wanted == self._drawn:
            return
        if self._brush_scale != self.width:
            self._brush_scale = self.width
            self._brushes.clear()
        self._drawn = wanted
        self.canvas.clear()
        with self.canvas:
            for shape in shapes:
                Color(*mixed(back, accent, shape.strength))
                match shape:
                    case Stroke():
                        self._stroke(shape)
                    case Fill():
                        self._fill(shape)
                    case _:
                        self._disc(shape.centre, shape.radius_x, shape.radius_y)

    def _placed(self, points: tuple[Point, ...]) -> tuple[Point, ...]:
        half = self.width / 2
        return tuple((self.center_x + x * half, self.center_y + y * half) for x, y in points)

    def _stroke(self, stroke: Stroke) -> None:
        # Kivy's own lines have jagged edges or blunt ends, and not every GPU does multisampling.
        texture = self._brush(stroke.width * self.width / 2)
        scaled = self._placed(stroke.points)
        for piece in [scaled] if stroke.closed else smooth_pieces(scaled):
            vertices = ribbon(piece, texture.width / 2, closed=stroke.closed)
            Mesh(
                vertices=vertices,
                indices=range(len(vertices) // 4),
                mode="triangle_strip",
                texture=texture,
            )

    def _fill(self, fill: Fill) -> None:
        vertices = [value for x, y in self._placed(fill.points) for value in (x, y, 0.0, 0.0)]
        Mesh(vertices=vertices, indices=range(len(vertices) // 4), mode="triangle_fan")

    def _disc(self, centre: Point, radius_x: float, radius_y: float) -> None:
        # Kivy's SmoothEllipse leaks memory each time it is made; a picture of a disc does not.
        half = self.width / 2
        drawn_px = min(2 * radius_x * half, _LARGEST_BRUSH_PX)
        texture = self._brush(drawn_px)
        width = 2 * radius_x * half * texture.width / drawn_px
        height = width * radius_y / radius_x
        x, y = self.center_x + centre[0] * half, self.center_y + centre[1] * half
        Rectangle(pos=(x - width / 2, y - height / 2), size=(width, height), texture=texture)

    def _brush(self, width_px: float) -> Any:
        if width_px not in self._brushes:
            side_px, pixels = brush_pixels(width_px)
            self._brushes[width_px] = texture_of(side_px, pixels)
        return self._brushes[width_px]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run as a picture, `x` px to the right of the beginning of its line."""

    texture: Any
    x: float
    above_px: int


class KioskLabel(Widget):  # type: ignore[misc]
    """Text as large as its box allows, up to `font_share` of the window's height.

    Its letters come from as many fonts as they need, in the order in which they are read.
    """

    font_share = NumericProperty(0.1)
    bold = BooleanProperty(False)
    color = ColorProperty((1, 1, 1, 1))
    # Where its lines stand in the box.
    halign = OptionProperty("center", options=("center", "left", "right"))
    valign = OptionProperty("middle", options=("middle", "top", "bottom"))
    text = StringProperty("")
    font_px = NumericProperty(0)

    def __init__(self, **kwargs: Any) -> None:
        self._colour = Color(1, 1, 1, 1)
        # The box that the lines really occupy: x, y, width, height.
        self.ink: tuple[float, float, float, float] = (0, 0, 0, 0)
        self._lines: tuple[list[_Piece], ...] = ()
        super().__init__(**kwargs)
        self.bind(color=self._coloured, pos=self._place)

    def say(self, text: str, book: FontBook | None = None, *, right_to_left: bool = False) -> None:
        """Show `text`, whole, in lines of even length."""
        book = book or FontBook()

        def runs(row: str) -> list[Run]:
            return book.runs(row, bold=self.bold, right_to_left=right_to_left)

        def width_px(row: str, font_px: int) -> float:
            return sum(_extent(run, font_px)[0] for run in runs(row))

        tallest_px = max((_extent(run, _MEASURED_PX)[1] for run in runs(text)), default=1)
        fitted = fit(
            text,
            lambda row: width_px(row, _MEASURED_PX) / _MEASURED_PX,
            _line_height(tallest_px, _MEASURED_PX) / _MEASURED_PX,
            (self.width, self.height),
            self.font_share * self.parent.height,
        )
        font_px, rows = fitted.font_px, fitted.text.split("\n")

        def too_large() -> bool:
            # Small letters are drawn on whole pixels, and so come out a little larger than in
            # theory.
            tall = max((_extent(run, font_px)[1] for row in rows for run in runs(row)), default=1)
            wide = max(width_px(row, font_px) for row in rows)
            high = len(rows) * _line_height(tall, font_px)
            return bool(wide > self.width or high > self.height)

        while font_px > 1 and too_large():
            font_px -= 1
        self.text, self.font_px = fitted.text, font_px
        self._lines = tuple(_pieces(runs(row), font_px) for row in rows if row)
        self._place()

    def _place(self, *_: object) -> None:
        self.canvas.clear()
        self.canvas.add(self._colour)
        heights = [
            _line_height(max(piece.texture.height for piece in line), self.font_px)
            for line in self._lines
            if line
        ]
        total = sum(heights)
        spare = {"middle": (self.height - total) / 2, "top": 0.0}
        top = self.top - spare.get(self.valign, self.height - total)
        widest, y = 0.0, top
        for line, height in zip(filter(None, self._lines), heights, strict=True):
            width = line[-1].x + line[-1].texture.width
            left = round(self.x + _SHARE_LEFT[self.halign] * (self.width - width))
            widest = max(widest, width)
            above = max(piece.above_px for piece in line)
            deepest = max(piece.texture.height - piece.above_px for piece in line)
            base = round(y - height / 2 - (above - deepest) / 2)
            for piece in line:
                self.canvas.add(
                    Rectangle(
                        pos=(left + piece.x, base + piece.above_px - piece.texture.height),
                        size=piece.texture.size,
                        texture=piece.texture,
                    )
                )
            y -= height
        left = self.x + _SHARE_LEFT[self.halign] * (self.width - widest)
        self.ink = (left, y, widest, total)

    def _coloured(self, *_: object) -> None:
        self._colour.rgba = self.color


def _line_height(tallest_px: float, font_px: float) -> float:
    return min(_LEADING * tallest_px, _MOST_LEADING_EM * font_px)


def _label(run: Run, text: str, font_px: int) -> Any:
    return CoreLabel(
        text=text,
        font_size=font_px,
        font_name=str(run.font),
        font_script_name=run.script,
        font_direction="rtl" if run.right_to_left else "ltr",
    )


def _shaped(run: Run, font_px: int) -> Any:
    # SDL sets a font's script and direction only when it draws, and measures with the previous
    # ones. Kivy draws a text when its texture is first bound.
    primer = _label(run, ".", font_px)
    primer.refresh()
    primer.texture.bind()
    return _label(run, run.text, font_px)


@lru_cache(maxsize=4096)
def _extent(run: Run, font_px: int) -> tuple[int, int]:
    width_px, height_px = _shaped(run, font_px).get_extents(run.text)
    return width_px, height_px


def forget() -> None:
    """Forget everything measured so far: one of the lines may have been a name."""
    fonts.forget()
    _extent.cache_clear()


def _pieces(runs: list[Run], font_px: int) -> list[_Piece]:
    pieces, x = [], 0.0
    for run in runs:
        label = _shaped(run, font_px)
        label.refresh()
        pieces.append(_Piece(label.texture, x, label.get_ascent()))
        x += label.texture.width
    return pieces


def texture_of(side_px: int, pixels: bytes) -> Any:
    """A square picture of RGBA pixels for the graphics card."""
    texture = Texture.create(size=(side_px, side_px), colorfmt="rgba")
    texture.blit_buffer(pixels, colorfmt="rgba", bufferfmt="ubyte")
    return texture


Builder.load_file(str(Path(__file__).with_name("parts.kv")))
