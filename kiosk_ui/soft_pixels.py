"""Pictures with soft edges, computed once: the light behind a symbol, the brush that draws it.

All are white, RGBA, 8 bits, square; the opacity is what matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def glow_pixels(side_px: int) -> bytes:
    """A round light that fades smoothly to nothing at the edges."""
    return _round(side_px, lambda distance_px: max(0.0, 1 - 2 * distance_px / (side_px - 1)) ** 2)


def brush_pixels(width_px: float) -> tuple[int, bytes]:
    """A disc `width_px` wide whose edge fades over one pixel; returns the picture's side too."""
    side_px = math.ceil(width_px) + 2
    return side_px, _round(
        side_px, lambda distance_px: min(1.0, max(0.0, width_px / 2 - distance_px + 0.5))
    )


def _round(side_px: int, opacity: Callable[[float], float]) -> bytes:
    """Pixels whose opacity (0..1) follows their centre's distance from the middle, in pixels."""
    pixels = bytearray(b"\xff" * (4 * side_px * side_px))
    middle, half = (side_px - 1) / 2, (side_px + 1) // 2
    rows = []
    # The quarters mirror each other: computing all of them would delay the first picture.
    for y in range(half):
        left = [round(255 * opacity(math.hypot(x - middle, y - middle))) for x in range(half)]
        rows.append(bytes(left + left[: side_px // 2][::-1]))
    pixels[3::4] = b"".join(rows + rows[: side_px // 2][::-1])
    return bytes(pixels)
