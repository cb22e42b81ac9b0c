"""OpenCV's video capture, quiet and with our errors."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance import MAX_PICTURE_PIXELS
from oneglance.errors import CameraError

# OpenCV and FFmpeg print what goes wrong on their own; our one line says it instead.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Capture:
    """cv2.VideoCapture, opened, or `refusal` is raised. `options` are cv2's pairs."""

    def __init__(self, target: str, backend: int, options: list[int], refusal: CameraError) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture: Any = None
        try:
            self._capture = cv2.VideoCapture(target, backend, options)
        except cv2.error:
            raise refusal from None
        if not self._capture.isOpened():
            self._capture.release()
            raise refusal
        width, height = (
            self.number(what) for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        # Before the first picture: to decode one takes ten bytes for each of its pixels.
        if width * height > MAX_PICTURE_PIXELS:
            self._capture.release()
            raise CameraError(
                f"its pictures of {width:.0f} x {height:.0f} are larger than"
                f" {MAX_PICTURE_PIXELS // 1_000_000} megapixels",
                where=refusal.where,
                fix="set the camera to a smaller size, or shrink the recording",
            )

    def number(self, what: int) -> float:
        """One of cv2's CAP_PROP_*, 0 if unknown."""
        return float(self._capture.get(what))

    def grab(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3) BGR; None if there is none."""
        try:
            good, pixels = self._capture.read()
        except cv2.error:
            return None
        if not good or pixels is None or pixels.ndim != 3:
            return None
        return np.asarray(pixels, np.uint8)

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()
