"""What the texture network sees of a film: at what size, and how much around the face."""

from __future__ import annotations

import numpy as np

from oneglance.faces.find.align import cut
from oneglance.faces.liveness.texture import crop_square
from oneglance.training.liveness.film import Image, Points

SIDE = 128
# How much around a face is seen, in sides of its box: each scale has a read-out of its own.
SCALES = (4.0, 2.7)


def crop(frame: Image, points: Points, scale: float) -> Image | None:
    """The crop uint8 (SIDE, SIDE, 3) BGR of a frame; None if too little of the face is in it."""
    square = crop_square(frame.shape[0], frame.shape[1], points, scale)
    if square is None:
        return None
    left, top, side = square
    return cut(frame, np.array([[side, 0.0, left], [0.0, side, top]]), SIDE)
