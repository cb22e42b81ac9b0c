"""A picture in a terminal: each character shows two pixels, one above the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text


def preview(pixels: NDArray[np.uint8], columns: int) -> Text:
    """The picture, uint8 (H, W, 3) BGR, `columns` characters wide."""
    import cv2

    height, width = pixels.shape[:2]
    rows = max(1, round(columns * height / width / 2))
    small = cv2.resize(pixels, (columns, 2 * rows), interpolation=cv2.INTER_AREA)
    text = Text()
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("\N{UPPER HALF BLOCK}", Style(color=_color(above), bgcolor=_color(below)))
        text.append("\n")
    return text


def _color(bgr: NDArray[np.uint8]) -> Color:
    blue, green, red = (int(value) for value in bgr)
    return Color.from_rgb(red, green, blue)
