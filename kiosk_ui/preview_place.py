"""Where on the screen the live picture, the face's outline and the progress are. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oneglance.contract.messages import FaceBox

_OUTLINE_POINTS = 72
# A Haar box ends at the brows and chin: a head is wider by the first factor and taller by the
# second.
_WIDER, _TALLER = 1.06, 1.32
# How much of the way to a new place the picture and the outline move in each frame.
_STEP = 0.35
# At least this much of the picture's height is seen, or a head would not fit into a low, wide
# place; the picture is then narrower than that.
_LEAST_SEEN = 0.6


@dataclass(frozen=True, slots=True)
class Placed:
    """The visible part of the picture, in shares of it from its lower left corner.

    It takes `across` of the screen's width, in the middle, and the whole height. It is drawn
    mirrored, so that visitors see themselves as in a mirror.
    """

    x: float
    y: float
    width: float
    height: float
    across: float = 1.0


def placed(
    picture_px: tuple[float, float],
    screen_px: tuple[float, float],
    face: FaceBox | None,
    wanted_y: float,
) -> Placed:
    """What of a picture fills the screen, its face at `wanted_y` if the picture reaches.

    `wanted_y` is a share of the screen's height from its lower edge.
    """
    across, up = screen_px[0] / picture_px[0], screen_px[1] / picture_px[1]
    scale = max(up, min(across, up / _LEAST_SEEN))
    width = min(1.0, screen_px[0] / (scale * picture_px[0]))
    height = min(1.0, screen_px[1] / (scale * picture_px[1]))
    middle_x = 0.5 if face is None else face.x + face.width / 2
    middle_y = 0.5 if face is None else 1 - (face.y + face.height / 2)
    x = min(max(0.0, middle_x - width / 2), 1 - width)
    y = min(max(0.0, middle_y - wanted_y * height), 1 - height)
    return Placed(x, y, width, height, min(1.0, scale / across))


def glided(before: Placed | None, now: Placed) -> Placed:
    """Part of the way from where it was to where it belongs; all of it if the size changed."""
    if before is None or (before.width, before.height) != (now.width, now.height):
        return now
    return Placed(
        before.x + _STEP * (now.x - before.x),
        before.y + _STEP * (now.y - before.y),
        now.width,
        now.height,
        now.across,
    )


def head(
    face: FaceBox, seen: Placed, screen_px: tuple[float, float]
) -> tuple[tuple[float, float], float, float]:
    """Centre and radii, in px, of a face's head on the mirrored screen."""
    x = (face.x + face.width / 2 - seen.x) / seen.width
    y = (1 - face.y - face.height / 2 - seen.y) / seen.height
    wide = seen.across * screen_px[0]
    radius_x = _WIDER * face.width / seen.width / 2 * wide
    radius_y = _TALLER * face.height / seen.height / 2 * screen_px[1]
    middle_x = (screen_px[0] - wide) / 2 + (1 - x) * wide
    return (middle_x, y * screen_px[1]), radius_x, radius_y


def oval(
    middle: tuple[float, float], radius_x: float, radius_y: float, share: float = 1.0
) -> list[float]:
    """Points x, y, x, y... of an oval, or of a `share` of it, clockwise from the top."""
    if share <= 0:
        return []
    count = max(2, round(_OUTLINE_POINTS * share))
    # Whoever draws a whole one closes it.
    steps = count if share >= 1 else count - 1
    points = []
    for i in range(count):
        angle = 2 * math.pi * min(share, 1.0) * i / steps
        points += [middle[0] + radius_x * math.sin(angle), middle[1] + radius_y * math.cos(angle)]
    return points
