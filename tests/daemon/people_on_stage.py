"""Frames with faces of real photographs wherever a test puts them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.reader import load_image

FACE_PX = 140
Pixels = NDArray[np.uint8]


class Stage:
    """Frames of a grey wall, 640x480, with faces 140 px wide, or `scale` times all of that."""

    def __init__(self, photos: Path, *names: str) -> None:
        self._people = {}
        for name in names:
            image = load_image(photos / name)
            self._people[name] = image, FaceDetector().find_still(image)[0]
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
