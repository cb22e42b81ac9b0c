"""The collecting window, drawn by the real Kivy under a virtual display."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oneglance.kiosk_ui.collect_screen import CollectScreen
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.palette import ACCENTS
from oneglance.kiosk_ui.screen import Kind

SIZES = [(960, 720), (480, 800), (800, 480)]
LEFT_BGR, RIGHT_BGR = (200, 60, 20), (20, 60, 200)


@dataclass(frozen=True)
class Drawn:
    """What the child drew and measured."""

    pictures: dict[str, np.ndarray[Any, Any]]
    measures: dict[str, Any]
    loaded: list[str]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt install xvfb)")
    folder = tmp_path_factory.mktemp("collect")
    pixels = np.empty((48, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = LEFT_BGR, RIGHT_BGR
    pixels[:4] = 255
    (folder / "raw").write_bytes(pixels.tobytes())
    size = f"{request.param[0]}x{request.param[1]}"
    script = Path(__file__).with_name("draw_collect.py")
    with virtual_display() as environment:
        result = subprocess.run(
            [sys.executable, str(script), str(folder / "raw"), str(folder), size],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    pictures = {name: cv2.imread(str(folder / f"{name}.png")) for name in told["measures"]}
    return Drawn(pictures, told["measures"], told["loaded"])


def near(picture: np.ndarray[Any, Any], bgr: tuple[float, ...]) -> np.ndarray[Any, Any]:
    return np.asarray(np.abs(picture.astype(int) - np.array(bgr)).max(axis=2) < 12)


def test_the_picture_is_shown_whole_upright_and_in_its_own_colours(drawn: Drawn) -> None:
    picture = drawn.pictures["none"]
    x, y, width, height = drawn.measures["none"]["picture"]
    assert width / height == pytest.approx(64 / 48, abs=0.01)
    top = round(picture.shape[0] - y - height)
    middle = top + round(height / 2)
    assert near(picture[middle : middle + 1, round(x + width / 4)][None], LEFT_BGR).all()
    assert near(picture[middle : middle + 1, round(x + width * 3 / 4)][None], RIGHT_BGR).all()
    # Its first rows are at the top.
    assert near(picture[top + 2 : top + 3, round(x + width / 4)][None], (255, 255, 255)).all()


def test_the_outline_is_round_the_face_and_tells_good_from_poor(drawn: Drawn) -> None:
    x, y, width, _ = drawn.measures["good"]["picture"]
    for name, kind in (("good", Kind.WELCOME), ("poor", Kind.NOT_RECOGNISED)):
        accent = tuple(255 * share for share in reversed(ACCENTS[kind]))
        picture = drawn.pictures[name]
        rows, columns = np.nonzero(near(picture, accent))
        inside = rows < picture.shape[0] - y - 2
        assert inside.sum() > 50
        assert columns[inside].min() == pytest.approx(x + 0.25 * width, abs=6)
        assert columns[inside].max() == pytest.approx(x + 0.75 * width, abs=6)
    accents = [
        tuple(255 * s for s in reversed(ACCENTS[k])) for k in (Kind.WELCOME, Kind.NOT_RECOGNISED)
    ]
    upper = drawn.pictures["none"][: round(drawn.pictures["none"].shape[0] - y)]
    assert not any(near(upper, accent).any() for accent in accents)


def test_the_bar_shows_how_much_is_done(drawn: Drawn) -> None:
    picture = drawn.pictures["good"]
    accent = tuple(255 * share for share in reversed(ACCENTS[Kind.WELCOME]))
    bottom = near(picture[-3:], accent).all(axis=0)
    assert bottom.sum() == pytest.approx(picture.shape[1] / 2, abs=3)
    assert bottom[: bottom.sum()].all()


def test_every_text_fits_its_box(drawn: Drawn) -> None:
    for measured in drawn.measures.values():
        for label in measured["labels"].values():
            assert label["text"]
            assert label["ink"][0] <= label["size"][0] + 0.5
            assert label["ink"][1] <= label["size"][1] + 0.5


def test_the_window_needs_neither_numpy_nor_opencv(drawn: Drawn) -> None:
    assert drawn.loaded == []


def test_pixels_that_do_not_fill_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="no 4 x 2 BGR picture"):
        CollectScreen(b"123", 4, 2, None, False, "", "", 0, 0.0)
