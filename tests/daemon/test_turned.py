"""Cameras that hang sideways, on their head or behind a mirror, and films that say so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.sources import open_source
from oneglance.daemon.camera.turned import turn
from oneglance.errors import CameraError


def numbered(height: int = 70, width: int = 90) -> NDArray[np.uint8]:
    """A picture of which each px says where it is: its row, its column, 0."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([rows, columns, 0 * rows]).astype(np.uint8)


def camera(source: str | Path = "0", **options: object) -> CameraConfig:
    return CameraConfig.model_validate({"name": "cam", "source": str(source), **options})


@pytest.mark.parametrize(
    ("options", "size", "top_left", "bottom_right"),
    [
        ({}, (70, 90), (0, 0), (69, 89)),
        ({"rotate": 90}, (90, 70), (69, 0), (0, 89)),
        ({"rotate": 180}, (70, 90), (69, 89), (0, 0)),
        ({"rotate": 270}, (90, 70), (0, 89), (69, 0)),
        ({"flip": "horizontal"}, (70, 90), (0, 89), (69, 0)),
        ({"flip": "vertical"}, (70, 90), (69, 0), (0, 89)),
        ({"rotate": 90, "flip": "horizontal"}, (90, 70), (0, 0), (69, 89)),
        ({"crop": [20, 5, 64, 65]}, (65, 64), (5, 20), (69, 83)),
        ({"rotate": 90, "crop": [6, 0, 64, 80]}, (80, 64), (63, 0), (0, 79)),
    ],
)
def test_a_picture_is_rotated_then_flipped_then_cut(
    options: dict[str, object],
    size: tuple[int, int],
    top_left: tuple[int, int],
    bottom_right: tuple[int, int],
) -> None:
    seen = turn(numbered(), camera(**options))
    assert seen.shape == (*size, 3)
    assert tuple(seen[0, 0, :2]) == top_left
    assert tuple(seen[-1, -1, :2]) == bottom_right
    assert seen.flags.c_contiguous


def test_a_crop_outside_of_the_picture_says_how_large_that_is() -> None:
    with pytest.raises(CameraError, match="ends at 84, 80, but its picture, rotated, is 70 x 90"):
        turn(numbered(), camera(rotate=90, crop=[20, 0, 64, 80]))


def test_every_source_is_turned(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), numbered())
    source = open_source(camera(tmp_path, rotate=180))
    pixels = source.read()
    assert pixels is not None
    assert np.array_equal(pixels, numbered()[::-1, ::-1])
    assert source.read() is None
    source.close()


def test_a_film_that_says_it_was_taken_sideways_is_watched_upright(tmp_path: Path) -> None:
    picture, plain, film = (str(tmp_path / name) for name in ("f.png", "plain.mp4", "film.mp4"))
    half = np.zeros((48, 64, 3), np.uint8)
    half[:, :32] = 255
    cv2.imwrite(picture, half)
    ffmpeg = ["ffmpeg", "-loglevel", "error"]
    subprocess.run([*ffmpeg, "-i", picture, "-c:v", "mpeg4", plain], check=True, timeout=60)
    turned = ["-i", plain, "-c", "copy", "-metadata:s:v:0", "rotate=270", film]
    subprocess.run([*ffmpeg, *turned], check=True, timeout=60)
    pixels = open_source(camera(film)).read()
    assert pixels is not None
    assert pixels.shape == (64, 48, 3)
    assert pixels[:28].mean() > 245
    assert pixels[36:].mean() < 10
