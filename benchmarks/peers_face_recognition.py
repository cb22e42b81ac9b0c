"""The peer behind most hobby doors: face_recognition (dlib), every frame.

HOG detector with the package's own defaults (upsampled once), five-point alignment, ResNet, and
the distance to each enrolled encoding.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import face_recognition
import numpy as np
from child import central

GALLERY = 50
_DIMENSIONS = 128


class FaceRecognition:
    """See child.Contender."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._rng = rng
        self._gallery = self._templates(GALLERY)
        self._sized: dict[int, Any] = {}
        self._picture = rng.integers(0, 256, (250, 250, 3), np.uint8)

    def _templates(self, count: int) -> Any:
        return self._rng.normal(0, 0.08, (count, _DIMENSIONS))

    def reset(self, names: list[str]) -> None:
        """Do nothing: it remembers nothing."""

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """Find, encode and compare all faces."""
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        places = face_recognition.face_locations(rgb)
        faces = face_recognition.face_encodings(rgb, places, model="small")
        for face in faces:
            face_recognition.compare_faces(self._gallery, face)
        return [
            {"box": [left, top, right - left, bottom - top]} for top, right, bottom, left in places
        ]

    def template(self, picture: Any) -> Any:
        """The template of the central face."""
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        places = face_recognition.face_locations(rgb)
        boxes = [[left, top, right - left, bottom - top] for top, right, bottom, left in places]
        best = central((rgb.shape[1], rgb.shape[0]), boxes)
        if best is None:
            return None
        return face_recognition.face_encodings(rgb, [places[best]], model="small")[0]

    def score(self, one: Any, other: Any) -> float:
        """The negative distance of the two."""
        return -float(np.linalg.norm(one - other))

    def probe(self, gallery_size: int) -> dict[str, float]:
        """One face whose place is known: align, encode, compare."""
        if gallery_size not in self._sized:
            self._sized[gallery_size] = self._templates(gallery_size)
        start = time.process_time()
        face = face_recognition.face_encodings(self._picture, [(50, 200, 200, 50)], model="small")
        middle = time.process_time()
        face_recognition.compare_faces(self._sized[gallery_size], face[0])
        return {"encode_s": middle - start, "compare_s": time.process_time() - middle}

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        return {name: version(name) for name in ("face_recognition", "dlib-bin", "numpy")}


def build(_data: Path | None) -> FaceRecognition:
    """Make it, ready to see."""
    return FaceRecognition()
