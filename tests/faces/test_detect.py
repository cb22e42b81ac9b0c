"""Haar detection on real photographs, and cascades that cannot be used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ModelError
from oneglance.faces.find import align, detect
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import find_faces, load_image


@pytest.fixture(scope="module")
def portrait(photos: Path) -> np.ndarray:
    return load_image(photos / "obama.jpg")


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.7)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8)


def test_video_and_still_search_agree_on_an_upright_face(portrait: np.ndarray) -> None:
    detector = FaceDetector()
    (video,) = detector.find(portrait, min_face_px=80)
    (still,) = detector.find_still(portrait)
    assert video.iou(still) > 0.7


@pytest.mark.parametrize("cascade", detect.GEOMETRY)
def test_every_cascades_box_frames_the_mean_face(photos: Path, cascade: str) -> None:
    model, detector = load_model(), FaceDetector(cascade)
    sizes = []
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"):
        image = load_image(photos / name)
        box = detector.find(image, min_face_px=80)[0]
        expected = align.apply(align.crop_matrix(box), align.MEAN_POINTS)
        real = align.fit_similarity(expected, model.points(image, [box])[0])
        sizes.append(np.hypot(real[0, 0], real[1, 0]))
    assert np.mean(sizes) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("degrees", [-32, -18, 18, 32])
def test_a_still_of_a_tilted_head_is_found_where_it_is(
    portrait: np.ndarray, degrees: float
) -> None:
    height, width = portrait.shape[:2]
    upright = FaceDetector().find_still(portrait)[0]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.7)
    wanted = matrix[:, :2] @ upright.centre + matrix[:, 2]
    (found,) = find_faces(turned(portrait, degrees), FaceDetector(), load_model())
    assert np.hypot(*(np.array(found.centre) - wanted)) < 0.25 * found.width
    assert found.width == pytest.approx(0.7 * upright.width, rel=0.3)


@pytest.mark.parametrize("degrees", [-32, 32])
def test_one_search_turned_against_the_tilt_finds_the_head_where_it_is(
    portrait: np.ndarray, degrees: float
) -> None:
    height, width = portrait.shape[:2]
    detector, model = FaceDetector(), load_model()
    (upright,) = detector.find(portrait, min_face_px=200)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.7)
    wanted = matrix[:, :2] @ upright.centre + matrix[:, 2]
    tilted = turned(portrait, degrees)

    def found(turn_deg: float) -> list[Box]:
        return model.faces_among(tilted, detector.find(tilted, turn_deg=turn_deg))

    assert found(0.0) == []
    (box,) = found(-degrees)
    assert np.hypot(*(np.array(box.centre) - wanted)) < 0.25 * box.width
    assert box.width == pytest.approx(0.7 * upright.width, rel=0.3)


def darkened(image: np.ndarray, gamma: float) -> np.ndarray:
    levels = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(image, levels), np.uint8)


def test_a_dark_picture_is_searched_as_if_it_were_lit(portrait: np.ndarray) -> None:
    small = cv2.resize(portrait, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    dark = darkened(np.asarray(small, np.uint8), 2.2)
    grey = np.asarray(cv2.cvtColor(dark, cv2.COLOR_BGR2GRAY), np.uint8)
    lit = np.asarray(cv2.cvtColor(detect.lifted(grey), cv2.COLOR_GRAY2BGR), np.uint8)
    detector = FaceDetector()
    (box,) = detector.find(dark, lift=True)
    assert [box] == detector.find(lit) != detector.find(dark)
    assert detector.find_still(dark) == detector.find_still(lit)
    assert box.iou(detector.find(np.asarray(small, np.uint8))[0]) > 0.8


@given(st.floats(0.5, 5), st.integers(0, 3))
def test_lifting_keeps_the_order_of_grey_levels_and_never_darkens(gamma: float, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (20, 30), np.uint8)
    grey = darkened(grey, gamma)
    lifted = detect.lifted(grey)
    assert lifted.dtype == np.uint8
    assert (lifted >= grey).all()
    order = np.argsort(grey, axis=None)
    assert (np.diff(lifted.ravel()[order].astype(int)) >= 0).all()
    if grey.mean() >= 80:
        assert lifted is grey
    else:
        assert grey.mean() < lifted.mean() < 160


@pytest.mark.parametrize("level", [0, 80, 255])
def test_a_black_or_bright_picture_is_searched_as_it_is(level: int) -> None:
    grey = np.full((30, 30), level, np.uint8)
    assert detect.lifted(grey) is grey


def test_a_large_still_is_searched_in_its_own_pixels(portrait: np.ndarray) -> None:
    small = FaceDetector().find_still(portrait)[0]
    large = cv2.resize(portrait, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_LINEAR)
    (found,) = FaceDetector().find_still(np.asarray(large, np.uint8))
    assert (
        found.iou(
            small.scaled(1.0).__class__(
                *(2.5 * value for value in (small.x, small.y, small.width, small.height))
            )
        )
        > 0.6
    )


def test_faces_below_the_least_size_are_not_reported(portrait: np.ndarray) -> None:
    face = FaceDetector().find(portrait)[0]
    assert FaceDetector().find(portrait, min_face_px=int(face.width * 1.5)) == []


@pytest.mark.parametrize("shape", [(1, 1), (10, 300), (480, 640)])
def test_a_frame_without_a_face_gives_no_boxes(shape: tuple[int, int]) -> None:
    grey = np.full((*shape, 3), 127, np.uint8)
    assert FaceDetector().find(grey) == []
    assert FaceDetector().find_still(grey) == []


def test_a_box_that_is_no_face_is_passed_over_for_the_next_search(portrait: np.ndarray) -> None:
    asked = []

    def second_only(boxes: list) -> list:
        asked.append(boxes)
        return boxes if len(asked) == 2 else []

    found = FaceDetector().find_still(portrait, faces_among=second_only)
    assert len(asked) == 2
    assert found == asked[1]


@pytest.mark.parametrize(
    "frame", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((5, 5, 4), np.uint8)]
)
def test_frames_of_another_type_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        FaceDetector().find(frame)


def test_an_unknown_cascade_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="haarcascade_frontalface_alt2") as caught:
        FaceDetector("../../etc/passwd")
    assert caught.value.exit_code == 72


@pytest.mark.parametrize("content", [None, b"", b"no xml at all", b"<?xml version='1.0'?><a/>"])
def test_a_missing_empty_or_damaged_cascade_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / detect.DEFAULT_CASCADE).write_bytes(content)
    monkeypatch.setattr(detect, "cascade_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="cascade") as caught:
        FaceDetector()
    assert str(tmp_path) in caught.value.where
    assert "opencv" in caught.value.fix
