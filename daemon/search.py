"""Find the faces of a video frame fast enough for a door."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.boxes import Box
from oneglance.faces.detect import FaceDetector

# A face worth searching for still has the cascade's 24 px at this size, and a search costs by
# the pixel.
SEARCH_SIDE_PX = 640
# People are told to come closer from this part of the smallest usable face on.
FAR_FACE = 0.6


def find_faces(detector: FaceDetector, pixels: NDArray[np.uint8], min_face_px: int) -> list[Box]:
    """Faces of uint8 (H, W, 3) BGR in px of it, largest first, those too far to use included."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, SEARCH_SIDE_PX / max(height, width))
    if shrink < 1.0:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    smallest_px = max(24, round(FAR_FACE * min_face_px * shrink))
    return [
        Box(box.x / shrink, box.y / shrink, box.width / shrink, box.height / shrink)
        for box in detector.find(pixels, min_face_px=smallest_px)
    ]
