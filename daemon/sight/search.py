"""Haar searches of a video frame: the whole of it, a part, or round a face just seen."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.search_plan import WHOLE, Search
from oneglance.faces.find.align import apply, cut
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector

# The smallest face that a cascade sees. The picture is averaged down until the smallest face
# worth finding is this small: that costs less, and takes the noise out.
CASCADE_PX = 24
# People are told to come closer from this part of the smallest usable face on.
FAR_FACE = 0.6
# Round a face just seen: how far, in its sides, and at what size the cascade sees it.
NEAR_IN_SIDES = 2.2
NEAR_FACE_PX = 56
NEAR_SMALLEST = 0.7


def door_detector() -> FaceDetector:
    """The search for video: coarse and lenient, since the aligner rejects what is not a face.

    Chosen by benchmarks/detection.py, see docs/benchmarks/finding.md.
    """
    return FaceDetector(scale_factor=1.2, min_neighbours=1)


def find_faces(
    detector: FaceDetector,
    pixels: NDArray[np.uint8],
    min_face_px: int,
    search: Search = WHOLE,
) -> list[Box]:
    """Faces of uint8 (H, W, 3) BGR in px of it, largest first, those too far to use included."""
    shrink = min(1.0, CASCADE_PX / (FAR_FACE * min_face_px))
    left, top = 0, 0
    if search.region is not None:
        region = search.region
        left, top = max(0, int(region.x)), max(0, int(region.y))
        right, bottom = int(region.x + region.width), int(region.y + region.height)
        pixels = pixels[top : max(top + 1, bottom), left : max(left + 1, right)]
    height, width = pixels.shape[:2]
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    found = detector.find(pixels, min_face_px=CASCADE_PX, turn_deg=search.turn_deg, lift=True)
    return [
        Box(left + b.x / shrink, top + b.y / shrink, b.width / shrink, b.height / shrink)
        for b in found
    ]


def find_near(
    detector: FaceDetector, pixels: NDArray[np.uint8], face: Box, tilt_deg: float
) -> list[Box]:
    """Faces of about the size and tilt (clockwise) of `face`, round where it was; largest first."""
    side = NEAR_IN_SIDES * face.width
    angle = math.radians(tilt_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    place = np.column_stack([side * turn, face.centre - side * turn @ [0.5, 0.5]])
    size = round(NEAR_IN_SIDES * NEAR_FACE_PX)
    around = cut(pixels, place, size)
    near = []
    smallest_px = round(NEAR_SMALLEST * NEAR_FACE_PX)
    for box in detector.find(around, min_face_px=smallest_px, lift=True):
        x, y = apply(place, np.array(box.centre) / size)
        width = box.width * side / size
        near.append(Box(float(x) - width / 2, float(y) - width / 2, width, width))
    return near
