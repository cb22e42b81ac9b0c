"""`oneglance predict`: same or different, what it saw, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from oneglance.cli.predict import predict
from oneglance.errors import ImageError, ModelError, OneglanceError
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image

APP = typer.Typer()
APP.command()(predict)


def ask(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(APP, [str(word) for word in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's photographs, smaller: quicker to search."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        image = load_image(photos / name)
        scale = 400 / image.shape[0]
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / name), small)
    return folder


@pytest.fixture
def two_people(photos: Path, tmp_path: Path) -> Path:
    sides = [load_image(photos / name) for name in ("obama.jpg", "biden.jpg")]
    height = min(side.shape[0] for side in sides)
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), np.hstack([side[:height] for side in sides]))
    return path


def test_two_pictures_of_one_person_are_the_same_with_exit_code_0(photos: Path) -> None:
    code, said = ask(photos / "obama.jpg", photos / "obama2.jpg")
    assert code == 0
    assert said.startswith("same\nscore ")
    assert f"{load_model().threshold('1e-4'):.3f} (FMR 1e-4)" in said


def test_two_people_are_different_with_exit_code_1(photos: Path) -> None:
    code, said = ask(photos / "obama.jpg", photos / "biden.jpg")
    assert code == 1
    assert said.startswith("different\nscore ")


def test_json_is_one_object_with_the_threshold_that_decided(photos: Path) -> None:
    code, said = ask(photos / "obama.jpg", photos / "biden.jpg", "--fmr", "1e-2", "--json")
    answer = json.loads(said)
    assert code == 1
    assert answer["same"] is False
    assert answer["score"] < answer["threshold"] == load_model().threshold("1e-2")
    assert answer["fmr"] == "1e-2"
    assert [face["image"] for face in answer["faces"]] == [
        str(photos / "obama.jpg"),
        str(photos / "biden.jpg"),
    ]
    assert all(min(face["box_px"][2:]) > 50 for face in answer["faces"])


def test_the_faces_seen_lie_side_by_side_in_a_picture_for_its_owner_alone(
    photos: Path, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        ask(photos / "obama.jpg", photos / "biden.jpg", "--out", tmp_path / "seen")
        ask(photos / "obama.jpg", photos / "obama.jpg", "--out", tmp_path / "seen")
    finally:
        os.umask(before)
    (path,) = (tmp_path / "seen").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    seen = cv2.imread(str(path))
    assert seen is not None
    assert seen.shape == (112, 232, 3)
    # The second run replaced the picture of the first: one photograph twice.
    assert np.array_equal(seen[:, :112], seen[:, -112:])


@pytest.mark.parametrize("central", [False, True])
def test_a_picture_without_a_face_is_named(photos: Path, tmp_path: Path, central: bool) -> None:
    empty = tmp_path / "wall.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(ImageError, match="no face was found") as caught:
        ask(photos / "obama.jpg", empty, *(["--central"] if central else []))
    assert caught.value.where == str(empty)
    assert caught.value.exit_code == 65


def test_a_picture_of_several_people_is_named(photos: Path, two_people: Path) -> None:
    with pytest.raises(ImageError, match="2 faces were found") as caught:
        ask(two_people, photos / "obama.jpg")
    assert caught.value.where == str(two_people)
    assert "--central" in caught.value.fix


def test_a_face_at_the_side_alone_is_not_taken_for_the_person_meant(
    photos: Path, tmp_path: Path
) -> None:
    portrait = load_image(photos / "obama.jpg")
    beside = np.full((portrait.shape[0], 2 * portrait.shape[1], 3), 127, np.uint8)
    path = tmp_path / "beside.png"
    cv2.imwrite(str(path), np.hstack([portrait, beside]))
    with pytest.raises(ImageError, match="not in the middle") as caught:
        ask(path, photos / "obama2.jpg")
    assert "--central" in caught.value.fix
    assert ask("--central", path, photos / "obama2.jpg")[0] == 0


def test_the_central_face_of_several_can_be_asked_for(photos: Path, two_people: Path) -> None:
    codes = [ask("--central", two_people, photos / name)[0] for name in ("obama.jpg", "biden.jpg")]
    assert sorted(codes) == [0, 1]


def test_a_damaged_picture_is_named(photos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageError) as caught:
        ask(broken, photos / "obama.jpg")
    assert caught.value.where == str(broken)


def test_a_rate_without_a_threshold_is_refused_with_those_there_are(photos: Path) -> None:
    with pytest.raises(ModelError) as caught:
        ask(photos / "obama.jpg", photos / "obama2.jpg", "--fmr", "1e-9")
    assert "1e-4" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OneglanceError, match="cannot be written") as caught:
        ask(photos / "obama.jpg", photos / "obama2.jpg", "--out", tmp_path / "file")
    assert "--out" in caught.value.fix
