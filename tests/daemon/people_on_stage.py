"""Faces of real photographs: what they are enrolled by, and frames with them wherever wanted.

Each photograph is searched once in a session, which is most of what these tests would cost.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import FaceSample, load_image, read_central_face

FACE_PX = 140
Pixels = NDArray[np.uint8]


@cache
def largest_face(photo: Path) -> tuple[Pixels, Box]:
    """A photograph, and its largest face."""
    image = load_image(photo)
    return image, max(FaceDetector().find_still(image), key=lambda box: box.area)


@cache
def face_of(photo: Path) -> FaceSample:
    """The face that a photograph is about, as the shipped model sees it."""
    image = load_image(photo)
    # A third of the size is plenty, and takes a tenth of the time.
    scale = min(1.0, 480 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sample = read_central_face(np.asarray(small, np.uint8), FaceDetector(), load_model())
    assert sample is not None
    return sample


def portrait_of(photo: Path, scale: float) -> Pixels:
    """The largest face, cut out with `scale` times its size."""
    image, face = largest_face(photo)
    box = face.scaled(scale)
    x, y = max(0, int(box.x)), max(0, int(box.y))
    return image[y : y + int(box.height), x : x + int(box.width)]


class Stage:
    """Frames of a grey wall, 640x480, with faces 140 px wide, or `scale` times all of that."""

    def __init__(self, photos: Path, *names: str) -> None:
        self._people = {}
        for name in names:
            self._people[name] = largest_face(photos / name)
        self._noise = np.random.default_rng(5)

    def frame(
        self,
        *places: tuple[str, float, float],
        tilt_deg: float = 0.0,
        scale: float = 1.0,
        noise: float = 0.0,
    ) -> Pixels:
        """Each of (photo, x, y): the middle of that face; whoever comes later stands in front.

        Heads tilt anticlockwise by `tilt_deg`; `noise` is a camera's, in grey levels.
        """
        width, height = round(640 * scale), round(480 * scale)
        face_px = scale * FACE_PX
        frame = np.full((height, width, 3), 96, np.uint8)
        for name, at_x, at_y in places:
            x, y = scale * at_x, scale * at_y
            image, face = self._people[name]
            turn = cv2.getRotationMatrix2D(face.centre, tilt_deg, face_px / face.width)
            turn[:, 2] += np.array([x, y]) - face.centre
            person = cv2.warpAffine(image, turn, (width, height))
            mask = np.zeros((height, width), np.uint8)
            cv2.ellipse(mask, ((x, y), (1.3 * face_px, 1.8 * face_px), -tilt_deg), 1, -1)
            frame[mask > 0] = person[mask > 0]
        if noise:
            noisy = frame + self._noise.normal(0.0, noise, frame.shape)
            frame = np.clip(noisy, 0, 255).astype(np.uint8)
        return frame
