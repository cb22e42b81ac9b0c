"""Find faces seen from the side with OpenCV's profile cascade: for portraits, where all else fails.

The cascade knows faces that look to the left; mirrored, the picture shows it the others. The
door never asks: who looks away is not asking to be let in.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import grey_picture, lifted, read_cascade

_CASCADE = "haarcascade_profileface.xml"
_SCALE_FACTOR = 1.05
_MIN_NEIGHBOURS = 2
_MOST_PX = 1024
_LEAST_PX = 40
# From the cascade's box to the geometry that the cut-out expects: medians over 785 boxes on 815
# training faces (LFW folds 1-6, most of them nearly frontal), as parts of the box's side. The face
# lies off its middle, to the side that it looks to.
_SIDE = 0.866
_AHEAD = 0.163
_DOWN = 0.0145


def find_profiles(image_bgr: NDArray[np.uint8], *, min_face_px: float = 0.0) -> list[Box]:
    """Faces in uint8 (H, W, 3) BGR, seen from either side, largest first.

    A large picture is searched shrunk to 1024 px; the smallest face is 40 px there, and at least
    `min_face_px` in the picture itself. Many boxes hold no face: ask the aligner. Raises
    ModelError if OpenCV lacks the cascade.
    """
    grey = lifted(grey_picture(image_bgr))
    shrunk = min(1.0, _MOST_PX / max(grey.shape))
    if shrunk < 1.0:
        grey = np.asarray(
            cv2.resize(grey, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA), np.uint8
        )
    if min(grey.shape) < 24:
        return []
    smallest_px = max(_LEAST_PX, math.floor(shrunk * min_face_px))
    boxes = []
    for mirrored in (False, True):
        looked_at = np.ascontiguousarray(grey[:, ::-1]) if mirrored else grey
        for x, y, side, _ in _cascade().detectMultiScale(
            looked_at,
            scaleFactor=_SCALE_FACTOR,
            minNeighbors=_MIN_NEIGHBOURS,
            minSize=(smallest_px, smallest_px),
        ):
            centre_x = float(x + side / 2 - _AHEAD * side)
            centre_y = float(y + side / 2 + _DOWN * side)
            if mirrored:
                centre_x = grey.shape[1] - centre_x
            width = float(_SIDE * side)
            left, top = (centre_x - width / 2) / shrunk, (centre_y - width / 2) / shrunk
            boxes.append(Box(left, top, width / shrunk, width / shrunk))
    large = [box for box in boxes if box.width >= min_face_px]
    return sorted(large, key=lambda box: box.area, reverse=True)


@cache
def _cascade() -> cv2.CascadeClassifier:
    return read_cascade(_CASCADE)
