"""Find faces with OpenCV's Haar cascades (Viola and Jones, 2001; Lienhart and Maydt, 2002)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.boxes import Box

DEFAULT_CASCADE = "haarcascade_frontalface_default.xml"

# Each cascade draws its box differently round the same face. Side and upward shift (in sides)
# that bring a cascade's box to the one geometry that the cut-out expects.
GEOMETRY = {
    "haarcascade_frontalface_default.xml": (1.0, 0.0),
    "haarcascade_frontalface_alt.xml": (1.0, 0.0),
    "haarcascade_frontalface_alt2.xml": (1.0, 0.0),
}


class FaceDetector:
    """One cascade for video, and the others to fall back on for stills.

    `cascade` is a file name in OpenCV's own data. `scale_factor` (> 1) is the step between
    searched sizes, `min_neighbours` how many overlapping hits make a face. Raises ModelError
    for a cascade that is unknown, missing, empty or unreadable.
    """

    def __init__(
        self,
        cascade: str = DEFAULT_CASCADE,
        *,
        scale_factor: float = 1.2,
        min_neighbours: int = 3,
    ) -> None:
        self.cascade = cascade
        self.scale_factor = scale_factor
        self.min_neighbours = min_neighbours
        self._classifiers = {cascade: _load_cascade(cascade)}

    def find(self, image_bgr: NDArray[np.uint8], *, min_face_px: int = 60) -> list[Box]:
        """Faces at least `min_face_px` wide in uint8 (H, W, 3) BGR, largest first: one search."""
        grey = _grey(image_bgr)
        return self._search(grey, self.cascade, self.scale_factor, self.min_neighbours, min_face_px)

    def find_still(self, image_bgr: NDArray[np.uint8], *, min_face_px: int = 40) -> list[Box]:
        """Faces in a still picture, searched ever harder until one is found."""
        grey = _grey(image_bgr)
        for cascade, scale_factor, min_neighbours in (
            (self.cascade, 1.1, 3),
            ("haarcascade_frontalface_default.xml", 1.1, 5),
            ("haarcascade_frontalface_alt.xml", 1.05, 2),
        ):
            boxes = self._search(grey, cascade, scale_factor, min_neighbours, min_face_px)
            if boxes:
                return boxes
        return []

    def _search(
        self,
        grey: NDArray[np.uint8],
        cascade: str,
        scale_factor: float,
        min_neighbours: int,
        min_face_px: int,
    ) -> list[Box]:
        if cascade not in self._classifiers:
            self._classifiers[cascade] = _load_cascade(cascade)
        if min(grey.shape[:2]) < 24:
            return []
        found = self._classifiers[cascade].detectMultiScale(
            grey,
            scaleFactor=scale_factor,
            minNeighbors=min_neighbours,
            minSize=(min_face_px, min_face_px),
        )
        side, down = GEOMETRY[cascade]
        boxes = [Box(float(x), float(y), float(w), float(h)) for x, y, w, h in found]
        boxes = [box.moved(0.0, down * box.height).scaled(side) for box in boxes]
        return sorted(boxes, key=lambda box: box.area, reverse=True)


def _grey(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), got {image_bgr.dtype} {image_bgr.shape}")
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def _load_cascade(name: str) -> cv2.CascadeClassifier:
    fix = "reinstall opencv-python-headless (>=4.10,<5), which carries the cascades"
    if name not in GEOMETRY:
        known = ", ".join(sorted(GEOMETRY))
        raise ModelError(f"unknown face cascade {name!r}", fix=f"choose one of {known}")
    path = Path(cv2.data.haarcascades) / name
    if not path.is_file() or path.stat().st_size == 0:
        raise ModelError("the face cascade is missing or empty", where=str(path), fix=fix)
    try:
        classifier = cv2.CascadeClassifier(str(path))
    except cv2.error as error:
        raise ModelError("the face cascade is unreadable", where=str(path), fix=fix) from error
    if classifier.empty():
        raise ModelError("the face cascade is unreadable", where=str(path), fix=fix)
    return classifier
