"""What the screen is made of: symbols drawn from shapes, and text that fits its box.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kivy.core.text import Label as CoreLabel
from kivy.graphics import Color, Mesh, Rectangle
from kivy.graphics.texture import Texture
from kivy.lang import Builder
from kivy.properties import NumericProperty
from kivy.uix.label import Label
from kivy.uix.widget import Widget

from oneglance.kiosk_ui.geometry import Point, Shape, Stroke, ribbon, smooth_pieces
from oneglance.kiosk_ui.palette import BACKGROUND, Rgb, mixed
from oneglance.kiosk_ui.soft_pixels import brush_pixels
from oneglance.kiosk_ui.text_fit import fit

# Text is measured at this size first; its width and height grow almost evenly with the font.
_MEASURED_PX = 100
# Computing a larger disc would hold up a frame; the only one has its edge under a ring.
_LARGEST_BRUSH_PX = 96


class Symbol(Widget):  # type: ignore[misc]
    """Draws shapes, whose coordinates run from -1 to 1, into its own box."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._drawn: object = None
        self._brushes: dict[float, Any] = {}
        self._brush_scale = 0.0

    def draw(self, shapes: tuple[Shape, ...], accent: Rgb) -> None:
        """Show `shapes` in the colour `accent`, unless they are what is shown already."""
        wanted = (shapes, accent, tuple(self.pos), tuple(self.size))
        if wanted == self._drawn:
            return
        if self._brush_scale != self.width:
            self._brush_scale = self.width
            self._brushes.clear()
        self._drawn = wanted
        self.canvas.clear()
        with self.canvas:
            for shape in shapes:
                Color(*mixed(BACKGROUND, accent, shape.strength))
                if isinstance(shape, Stroke):
                    self._stroke(shape)
                else:
                    self._disc(shape.centre, shape.radius_x, shape.radius_y)

    def _stroke(self, stroke: Stroke) -> None:
        # Kivy's own lines have jagged edges or blunt ends, and not every GPU can multisample.
        half = self.width / 2
        texture = self._brush(stroke.width * half)
        scaled = tuple(
            (self.center_x + x * half, self.center_y + y * half) for x, y in stroke.points
        )
        for piece in [scaled] if stroke.closed else smooth_pieces(scaled):
            vertices = ribbon(piece, texture.width / 2, closed=stroke.closed)
            Mesh(
                vertices=vertices,
                indices=range(len(vertices) // 4),
                mode="triangle_strip",
                texture=texture,
            )

    def _disc(self, centre: Point, radius_x: float, radius_y: float) -> None:
        # Kivy's SmoothEllipse loses memory each time it is made; a picture of a disc does not.
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


class KioskLabel(Label):  # type: ignore[misc]
    """Text that is as large as its box allows, up to `font_share` of the window's height."""

    font_share = NumericProperty(0.1)

    def say(self, text: str) -> None:
        """Show `text`, whole, in lines of even length."""
        line_height_em = self._measured("Ag", _MEASURED_PX)[1] / _MEASURED_PX
        fitted = fit(
            text,
            lambda row: self._measured(row, _MEASURED_PX)[0] / _MEASURED_PX,
            line_height_em,
            tuple(self.size),
            self.font_share * self.parent.height,
        )
        # Small letters are drawn on whole pixels, and so a little wider than they are in theory.
        font_px = fitted.font_px
        while font_px > 1 and self._measured(fitted.text, font_px)[0] > self.width:
            font_px -= 1
        self.text, self.font_size = fitted.text, font_px

    def _measured(self, text: str, font_px: int) -> tuple[int, int]:
        font = CoreLabel(text=text, font_size=font_px, font_name=self.font_name, bold=self.bold)
        width_px, height_px = font.render()
        return width_px, height_px


def texture_of(side_px: int, pixels: bytes) -> Any:
    """A square picture of RGBA pixels for the graphics card."""
    texture = Texture.create(size=(side_px, side_px), colorfmt="rgba")
    texture.blit_buffer(pixels, colorfmt="rgba", bufferfmt="ubyte")
    return texture


Builder.load_file(str(Path(__file__).with_name("parts.kv")))
