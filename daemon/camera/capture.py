"""OpenCV's video capture, quiet and with our errors."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance import MAX_PICTURE_PIXELS
from oneglance.errors import CameraError

# OpenCV and FFmpeg print errors of their own; our one line replaces them.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


_Y16 = cv2.VideoWriter.fourcc(*"Y16 ")
# No sensor worth the name has fewer.
_LEAST_BITS = 10
_SAMPLE_STEP = 8


class Depth:
    """How many bits a camera's grey levels really have, whatever they are kept in.

    It only grows: with the light of each frame, the picture would flicker, and a dark one look
    bright.
    """

    def __init__(self) -> None:
        self._bits = _LEAST_BITS

    def eight_bits(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Pixels of any shape, uint8 as they are, uint16 with their upper eight bits."""
        if pixels.dtype != np.uint16:
            return np.asarray(pixels, np.uint8)
        # A single hot pixel means nothing.
        levels = np.asarray(pixels, np.uint16)
        sample = levels[::_SAMPLE_STEP, ::_SAMPLE_STEP]
        highest = int(np.percentile(sample, 98, method="lower"))
        self._bits = max(self._bits, highest.bit_length())
        return np.asarray(np.minimum(levels >> (self._bits - 8), 255), np.uint8)


def as_bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A picture (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as (H, W, 3); None for any other."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2] if pixels.ndim == 3 else 0
    conversion = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}.get(channels)
    if conversion is not None:
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    return pixels if channels == 3 else None


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

        # Of 16 bits OpenCV keeps the upper eight, and most infra-red cameras use the lower ten.
        if backend == cv2.CAP_V4L2 and int(self.number(cv2.CAP_PROP_FOURCC)) == _Y16:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self._depth = Depth()

    def number(self, what: int) -> float:
        """One of cv2's CAP_PROP_*, 0 if unknown."""
        return float(self._capture.get(what))

    def grab(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3) BGR; None if there is none."""
        try:
            good, pixels = self._capture.read()
        except cv2.error:
            return None
        return as_bgr(self._depth.eight_bits(pixels)) if good and pixels is not None else None

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()
