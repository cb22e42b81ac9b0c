"""Faces from the side: found either way round, and only where a portrait shows nothing better."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from oneglance.faces import reader
from oneglance.faces.find.align import Located
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.side_faces import find_profiles
from oneglance.faces.model.face_model import load_model


def test_a_mirrored_picture_has_mirrored_faces(photos: Path) -> None:
    image = reader.load_image(photos / "obama.jpg")
    width = image.shape[1]
    found = find_profiles(image, min_face_px=80)
    mirrored = find_profiles(np.ascontiguousarray(image[:, ::-1]), min_face_px=80)
    assert found

    def places(boxes: list[Box], *, turned: bool) -> list[tuple[int, int, int]]:
        return sorted(
            (round(width - x - 1 if turned else x), round(y), round(box.width))
            for box in boxes
            for x, y in [box.centre]
        )

    for one, other in zip(places(found, turned=False), places(mirrored, turned=True), strict=True):
        assert one == pytest.approx(other, abs=10)


@pytest.mark.parametrize("longer_px", [600, 3000])
def test_a_nearly_frontal_face_has_the_cut_outs_box(photos: Path, longer_px: int) -> None:
    image = reader.load_image(photos / "obama.jpg")
    scale = longer_px / max(image.shape)
    image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
    frontal = FaceDetector().find_still(image)[0]
    near = [
        box
        for box in find_profiles(image)
        if abs(box.centre[0] - frontal.centre[0]) < frontal.width / 3
        and abs(box.centre[1] - frontal.centre[1]) < frontal.width / 3
    ]
    assert near
    assert near[0].width == pytest.approx(frontal.width, rel=0.35)


@pytest.mark.parametrize("size", [(20, 20), (200, 300)])
def test_nothing_is_found_in_nothing(size: tuple[int, int]) -> None:
    assert find_profiles(np.zeros((*size, 3), np.uint8)) == []


ASIDE, MIDDLE, SMALL = Box(0, 0, 90, 90), Box(105, 105, 90, 90), Box(140, 140, 20, 20)


@pytest.mark.parametrize(
    ("seen_from_the_side", "doubt", "read", "remark"),
    [
        ([MIDDLE], 0.05, MIDDLE, "a profile in the middle before a bystander"),
        ([MIDDLE], 0.2, MIDDLE, "even a doubtful one"),
        ([MIDDLE], 0.3, ASIDE, "but not one that is no face"),
        ([SMALL], 0.2, ASIDE, "nor one that is too small to be the portrait's"),
        ([], 0.0, ASIDE, "and the bystander where nobody else is"),
    ],
)
def test_whom_a_portrait_is_about(
    monkeypatch: pytest.MonkeyPatch,
    seen_from_the_side: list[Box],
    doubt: float,
    read: Box,
    remark: str,
) -> None:
    model = load_model()
    locate = model.locate

    def located(image: np.ndarray, boxes: list[Box]) -> Located:
        doubts = [0.0 if box == ASIDE else doubt for box in boxes]
        return Located(locate(image, boxes).points, np.array(doubts))

    detector = FaceDetector()
    monkeypatch.setattr(model, "locate", located)
    monkeypatch.setattr(reader, "find_profiles", lambda image: seen_from_the_side)
    monkeypatch.setattr(
        detector, "find_still", lambda image, *, faces_among: faces_among([ASIDE]) or []
    )
    image = np.full((300, 300, 3), 90, np.uint8)
    found = reader.read_central_face(image, detector, model)
    assert found is not None, remark
    assert found.box == read, remark
