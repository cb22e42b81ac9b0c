"""A frame as a JPEG file that is small enough: its quality follows what the camera shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# What a screen an arm's length away shows well; a camera's own size is kept where it is smaller.
LONGER_SIDE_PX = 480
BEST, WORST = 80, 25
# Down at once, up a little each time: what follows is mostly much like the frame before.
_DOWN, _UP = 10, 2
# Closer to the limit than that it is not raised: the next frame would be too long.
_ROOM = 0.8


class PreviewEncoder:
    """Encodes frames to at most `longest` bytes each; remembers which quality fits."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.quality = BEST

    def encode(self, pixels: NDArray[np.uint8]) -> bytes | None:
        """The JPEG file of a frame, uint8 (H, W, 3) BGR; None if even the worst is too long."""
        side_px = LONGER_SIDE_PX
        small = _shrunk(pixels, side_px)
        while True:
            _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            jpeg = encoded.tobytes()
            if len(jpeg) <= self._longest:
                if side_px == LONGER_SIDE_PX and len(jpeg) < _ROOM * self._longest:
                    self.quality = min(BEST, self.quality + _UP)
                return jpeg
            if self.quality > WORST:
                self.quality = max(WORST, self.quality - _DOWN)
                continue
            side_px //= 2
            if side_px < 60:
                return None
            small = _shrunk(small, side_px)


def _shrunk(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    scale = side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    shrunk = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)
