"""Find the faces of a video frame fast enough for a door."""

from __future__ import annotations

import itertools
from collections.abc import Callable

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
# A cascade loses a head tilted by more than some 15 degrees. Turned by one of these, in turn, the
# frame is searched again, but only every so many frames without a face: an empty hallway is cheap.
TURNS_DEG = (20.0, -20.0, 35.0, -35.0)
EMPTY_FRAMES_PER_TURN = 5


class FaceSearch:
    """The search of one camera's frames: each upright, and turned now and then while it is empty.

    `faces_among` says which boxes of a frame do hold a face. What a turned search has found is
    followed, frame by frame, turned the same way, until that shows nothing any more. Whoever is
    found upright has precedence: no turned search is made for another face beside.
    """

    def __init__(
        self,
        detector: FaceDetector,
        min_face_px: int,
        faces_among: Callable[[NDArray[np.uint8], list[Box]], list[Box]],
    ) -> None:
        self._detector = detector
        self._min_face_px = min_face_px
        self._faces_among = faces_among
        self._turns_deg = itertools.cycle(TURNS_DEG)
        self._followed_deg: float | None = None
        self._empty = 0

    def faces(self, pixels: NDArray[np.uint8]) -> list[Box]:
        """Upright boxes of the faces in the next frame, uint8 (H, W, 3) BGR, largest first."""
        faces = self._search(pixels, 0.0)
        if faces:
            self._empty = 0
            return faces
        if self._followed_deg is None:
            self._empty += 1
            if self._empty % EMPTY_FRAMES_PER_TURN:
                return []
        turn_deg = next(self._turns_deg) if self._followed_deg is None else self._followed_deg
        faces = self._search(pixels, turn_deg)
        self._followed_deg = turn_deg if faces else None
        return faces

    def _search(self, pixels: NDArray[np.uint8], turn_deg: float) -> list[Box]:
        found = find_faces(self._detector, pixels, self._min_face_px, turn_deg=turn_deg)
        return self._faces_among(pixels, found)


def find_faces(
    detector: FaceDetector, pixels: NDArray[np.uint8], min_face_px: int, *, turn_deg: float = 0.0
) -> list[Box]:
    """Faces of uint8 (H, W, 3) BGR in px of it, largest first, those too far to use included.

    The frame is searched turned anticlockwise by `turn_deg` about its middle, without what that
    turns out of it; the boxes are upright all the same.
    """
    height, width = pixels.shape[:2]
    shrink = min(1.0, SEARCH_SIDE_PX / max(height, width))
    if shrink < 1.0:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    smallest_px = max(24, round(FAR_FACE * min_face_px * shrink))
    if turn_deg:
        boxes = _find_turned(detector, pixels, smallest_px, turn_deg)
    else:
        boxes = detector.find(pixels, min_face_px=smallest_px)
    return [
        Box(box.x / shrink, box.y / shrink, box.width / shrink, box.height / shrink)
        for box in boxes
    ]


def _find_turned(
    detector: FaceDetector, pixels: NDArray[np.uint8], smallest_px: int, turn_deg: float
) -> list[Box]:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1.0)
    turned = np.asarray(cv2.warpAffine(pixels, turn, (width, height)), np.uint8)
    back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    boxes = []
    for box in detector.find(turned, min_face_px=smallest_px):
        x, y = back[:, :2] @ box.centre + back[:, 2]
        left, top = float(x - box.width / 2), float(y - box.height / 2)
        boxes.append(Box(left, top, box.width, box.height))
    return boxes
