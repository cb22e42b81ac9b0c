"""`oneglance camera show`: what the door sees, as a picture."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oneglance.cli.camera import app
from oneglance.errors import CameraError, ConfigError


def show(tmp_path: Path, *arguments: str) -> Result:
    config = ["--config", str(tmp_path / "oneglance.toml"), "--out", str(tmp_path / "seen.png")]
    return CliRunner().invoke(app, ["show", *arguments, *config])


@pytest.fixture
def sideways(tmp_path: Path, photos: Path) -> Path:
    """A door whose camera `front` hangs on its head, and `back` too, which is told so."""
    photo = cv2.resize(cv2.imread(str(photos / "obama.jpg")), (240, 300))
    (tmp_path / "film").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"film/{number}.png"), cv2.rotate(photo, cv2.ROTATE_180))
    (tmp_path / "oneglance.toml").write_text(
        '[[camera]]\nname = "front"\nsource = "film"\n'
        '[[camera]]\nname = "back"\nsource = "film"\nrotate = 180\ncrop = [20, 10, 200, 280]\n'
    )
    return tmp_path


def test_the_picture_is_as_the_door_sees_it_and_for_its_owner_alone(sideways: Path) -> None:
    result = show(sideways, "back")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "200 x 280" in result.stdout
    assert "px wide" in result.stdout
    upright = cv2.rotate(cv2.imread(str(sideways / "film/0.png")), cv2.ROTATE_180)
    seen = sideways / "seen.png"
    assert np.array_equal(cv2.imread(str(seen)), upright[10:290, 20:220])
    assert stat.S_IMODE(seen.stat().st_mode) == 0o600


def test_who_hangs_on_their_head_is_told_what_to_write(sideways: Path) -> None:
    result = show(sideways)
    assert "try rotate = 180" in result.stdout
    answer = json.loads(show(sideways, "front", "--json").stdout)
    assert (answer["camera"], answer["faces_px"], answer["turn_deg"]) == ("front", [], 180)
    assert (answer["width"], answer["height"], answer["fault"]) == (240, 300, None)


def test_a_source_without_a_name_is_called_a_camera(sideways: Path) -> None:
    film = (sideways / "film").rename(sideways / "another")
    assert show(sideways, str(film)).stdout.startswith(f"camera ({film}): 240 x 300")


def test_a_name_that_no_camera_has_is_answered_with_those_there_are(sideways: Path) -> None:
    error = show(sideways, "fornt").exception
    assert isinstance(error, CameraError)
    assert "no camera has this name" in error.what
    assert error.fix == "configured are: front, back"


def test_what_cannot_be_seen_is_said(tmp_path: Path) -> None:
    (tmp_path / "oneglance.toml").write_text('[[camera]]\nname = "front"\nsource = 97\n')
    assert isinstance(show(tmp_path).exception, CameraError)
    (tmp_path / "oneglance.toml").write_text("")
    assert isinstance(show(tmp_path).exception, ConfigError)
    (tmp_path / "black").mkdir()
    cv2.imwrite(str(tmp_path / "black/1.png"), np.zeros((100, 100, 3), np.uint8))
    assert "it is black" in show(tmp_path, str(tmp_path / "black")).stdout
