"""Cameras that give grey pictures, of 8 bits or more.

There is no such device here: OpenCV's is replaced.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.daemon.camera.capture import Capture, Depth, as_bgr
from oneglance.daemon.camera.health import is_dark
from oneglance.errors import CameraError

SCENE = np.random.default_rng(0).integers(30, 220, (60, 80))


def capture(
    monkeypatch: pytest.MonkeyPatch, pictures: list[NDArray[Any]], fourcc: str = "GREY"
) -> Capture:
    """A device that gives these pictures; those of 16 bits only if it is asked for them raw."""

    class Device:
        def __init__(self, *_: object) -> None:
            self.raw = False

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def get(self, what: int) -> float:
            return cv2.VideoWriter.fourcc(*fourcc) if what == cv2.CAP_PROP_FOURCC else 0.0

        def set(self, what: int, value: float) -> bool:
            self.raw = what == cv2.CAP_PROP_CONVERT_RGB and value == 0
            return True

        def read(self) -> tuple[bool, NDArray[Any] | None]:
            pixels = pictures.pop(0)
            if pixels.dtype == np.uint16 and not self.raw:
                pixels = np.dstack([(pixels >> 8).astype(np.uint8)] * 3)
            return True, pixels

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Device)
    return Capture("/dev/video0", cv2.CAP_V4L2, [], CameraError("refused"))


def test_a_camera_of_eight_bit_grey_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in ((60, 80), (60, 80, 1)):
        grey = SCENE.astype(np.uint8).reshape(shape)
        pixels = capture(monkeypatch, [grey]).grab()
        assert pixels is not None
        assert np.array_equal(pixels, np.dstack([SCENE] * 3))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_camera_of_more_bits_is_seen_by_those_that_it_uses(
    monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    deep = (SCENE << (bits - 8)).astype(np.uint16)
    pixels = capture(monkeypatch, [deep], "Y16 ").grab()
    assert pixels is not None
    assert np.array_equal(pixels, np.dstack([SCENE] * 3))
    assert not is_dark(pixels)


def test_a_dark_camera_of_more_bits_is_told_apart_from_one_of_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bright, capped = (SCENE << 2).astype(np.uint16), np.full((60, 80), 20, np.uint16)
    hot = capped.copy()
    hot[8, 8] = 65535
    seen = capture(monkeypatch, [capped, bright, hot, bright], "Y16 ")
    pictures = [seen.grab() for _ in range(4)]
    assert [is_dark(pixels) for pixels in pictures if pixels is not None] == [
        *(True, False, True, False)
    ]
    assert np.array_equal(pictures[1], pictures[3])


def test_a_dim_moment_is_not_brightened() -> None:
    depth = Depth()
    depth.eight_bits(np.full((60, 80), 4000, np.uint16))
    assert depth.eight_bits(np.full((60, 80), 400, np.uint16)).max() == 25


def test_what_is_no_picture_is_none() -> None:
    assert as_bgr(np.zeros((2, 3, 2), np.uint8)) is None
    assert as_bgr(np.zeros(5, np.uint8)) is None
    clear = as_bgr(np.full((2, 3, 4), 7, np.uint8))
    assert clear is not None
    assert clear.shape == (2, 3, 3)
