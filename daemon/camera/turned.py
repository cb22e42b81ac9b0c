"""For a camera that hangs sideways or upside down, behind a mirror, or sees more than the door."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frame_source import FrameSource
from oneglance.errors import CameraError

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_FLIPS = {"horizontal": 1, "vertical": 0}


def turned(source: FrameSource, config: CameraConfig) -> FrameSource:
    """The source, its pictures turned, flipped and cut as configured."""
    if not (config.rotate or config.flip or config.crop):
        return source
    return _Turned(source, config)


def turn(pixels: NDArray[np.uint8], config: CameraConfig) -> NDArray[np.uint8]:
    """A picture (H, W, 3) rotated, then flipped, then cut to `crop`; an array of its own.

    Raises CameraError if the crop lies outside of it.
    """
    image: cv2.typing.MatLike = pixels
    if config.rotate:
        image = cv2.rotate(image, _TURNS[config.rotate])
    if config.flip:
        image = cv2.flip(image, _FLIPS[config.flip])
    if config.crop:
        left, top, width, height = config.crop
        if left + width > image.shape[1] or top + height > image.shape[0]:
            raise CameraError(
                f"its crop ends at {left + width}, {top + height}, but its picture, rotated, is"
                f" {image.shape[1]} x {image.shape[0]}",
                where=f"camera {config.name}",
                fix="see 'oneglance camera show', and mend crop = [left, top, width, height]",
            )
        image = image[top : top + height, left : left + width].copy()
    return np.asarray(image, np.uint8)


class _Turned:
    def __init__(self, source: FrameSource, config: CameraConfig) -> None:
        self.fps = source.fps
        self._source = source
        self._config = config

    def read(self) -> NDArray[np.uint8] | None:
        pixels = self._source.read()
        return None if pixels is None else turn(pixels, self._config)

    def close(self) -> None:
        self._source.close()
