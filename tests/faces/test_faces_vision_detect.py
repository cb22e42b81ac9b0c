"""Haar detection on real photographs, and cascades that cannot be used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from oneglance.errors import ModelError
from oneglance.faces import align, detect
from oneglance.faces.detect import FaceDetector
from oneglance.faces.model import load_model
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
    assert caught.value.exit_code == 5


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
