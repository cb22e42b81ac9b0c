"""Heads tilted further than a cascade can see: real photographs, turned, through the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.daemon.decide import Rule, Verdict
from oneglance.daemon.frames import Frame
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.search import EMPTY_FRAMES_PER_TURN, TURNS_DEG, FaceSearch, find_faces
from oneglance.faces.boxes import Box
from oneglance.faces.detect import FaceDetector
from oneglance.faces.model import FaceModel
from oneglance.faces.person import Snapshot
from oneglance.faces.reader import load_image, read_central_face
from oneglance.faces.tail import tail_of

FPS = 10.0
MIN_FACE_PX = 80
FACE_PX = 150
# Each angle has had its turn by then.
ALL_TURNS = EMPTY_FRAMES_PER_TURN * len(TURNS_DEG)

Scene = Callable[..., NDArray[np.uint8]]


class CountingDetector(FaceDetector):
    """The real detector, and how often it was asked."""

    searches = 0

    def find(self, image_bgr: NDArray[np.uint8], *, min_face_px: int = 60) -> list[Box]:
        """Count, and search."""
        self.searches += 1
        return super().find(image_bgr, min_face_px=min_face_px)


@pytest.fixture(scope="module")
def scene(photos: Path) -> Scene:
    """`scene("obama.jpg", tilt_deg)`: a frame with that face, 150 px wide at half height, tilted.

    `right_px` moves the face off the middle, `scale` enlarges the whole frame of 640x480.
    """

    def scene(
        name: str, tilt_deg: float, *, right_px: float = 0.0, scale: float = 1.0
    ) -> NDArray[np.uint8]:
        image = load_image(photos / name)
        face = max(FaceDetector().find_still(image), key=lambda box: box.area)
        turn = cv2.getRotationMatrix2D(face.centre, tilt_deg, scale * FACE_PX / face.width)
        turn[:, 2] += scale * np.array([320 + right_px, 240]) - face.centre
        size = round(640 * scale), round(480 * scale)
        frame = cv2.warpAffine(image, turn, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(frame, np.uint8)

    return scene


def verdicts(model: FaceModel, gallery: Snapshot, pixels: NDArray[np.uint8]) -> list[Verdict]:
    """What the pipeline decides when it sees the frame until every angle has had its turn."""
    now_s = 1000.0
    pipeline = Pipeline(
        model,
        FaceDetector(),
        Rule(1e-3, 3, 1.0, tail_of(model.manifest.raw["thresholds"])),
        same_face=model.threshold("1e-3"),
        min_face_px=MIN_FACE_PX,
        lifetime_s=5.0,
        clock_s=lambda: now_s,
    )
    found = []
    for index in range(ALL_TURNS + 15):
        now_s += 1 / FPS
        for report in pipeline.step([Frame(pixels, now_s, now_s, index, "cam")], gallery):
            found += [view.verdict for view in report.tracks if view.verdict is not None]
    return found


@pytest.fixture
def obama(photos: Path, model: FaceModel) -> Snapshot:
    """A gallery of one person from one photograph."""
    sample = read_central_face(load_image(photos / "obama.jpg"), FaceDetector(), model)
    assert sample is not None
    return Snapshot(("obama",), {"obama": "Barack Obama"}, sample.template[np.newaxis].copy())


@pytest.mark.parametrize("tilt_deg", [-25.0, 30.0])
def test_a_tilted_head_that_the_upright_search_loses_is_found_and_recognised(
    model: FaceModel, obama: Snapshot, scene: Scene, tilt_deg: float
) -> None:
    pixels = scene("obama2.jpg", tilt_deg)
    upright = find_faces(FaceDetector(), pixels, MIN_FACE_PX)
    assert model.faces_among(pixels, upright) == []
    assert [v.person_id for v in verdicts(model, obama, pixels)] == ["obama"]


@pytest.mark.parametrize("tilt_deg", [-25.0, 25.0])
def test_a_stranger_with_a_tilted_head_stays_a_stranger(
    model: FaceModel, obama: Snapshot, scene: Scene, tilt_deg: float
) -> None:
    decided = verdicts(model, obama, scene("biden.jpg", tilt_deg))
    assert [(v.person_id, v.reason) for v in decided] == [(None, "not_recognised")]


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("right_px", [-120.0, 0.0, 120.0])
@pytest.mark.parametrize("tilt_deg", [-25.0, 25.0])
def test_the_box_of_a_tilted_face_lies_where_the_face_is_in_the_frame(
    model: FaceModel, scene: Scene, tilt_deg: float, right_px: float, scale: float
) -> None:
    pixels = scene("obama2.jpg", tilt_deg, right_px=right_px, scale=scale)
    search = FaceSearch(FaceDetector(), MIN_FACE_PX, model.faces_among)
    found = [box for _ in range(ALL_TURNS) for box in search.faces(pixels)]
    assert found
    for box in found:
        off_px = np.subtract(box.centre, (scale * (320 + right_px), scale * 240))
        assert np.hypot(*off_px) < 0.15 * scale * FACE_PX
        assert 0.8 < box.width / (scale * FACE_PX) < 1.25


def test_an_empty_frame_costs_a_second_search_only_every_few_frames(model: FaceModel) -> None:
    detector = CountingDetector()
    search = FaceSearch(detector, MIN_FACE_PX, model.faces_among)
    wall = np.full((480, 640, 3), 96, np.uint8)
    assert [search.faces(wall) for _ in range(ALL_TURNS)] == [[]] * ALL_TURNS
    assert detector.searches == ALL_TURNS + len(TURNS_DEG)


def test_a_tilted_face_once_found_is_followed_in_every_frame(
    model: FaceModel, scene: Scene
) -> None:
    pixels = scene("obama2.jpg", -25.0)
    search = FaceSearch(FaceDetector(), MIN_FACE_PX, model.faces_among)
    found = [len(search.faces(pixels)) for _ in range(ALL_TURNS + 10)]
    first = found.index(1)
    assert first < ALL_TURNS
    assert set(found[:first]) == {0}
    assert set(found[first:]) == {1}


def test_after_the_tilted_face_has_left_frames_are_searched_upright_again(
    model: FaceModel, scene: Scene
) -> None:
    detector = CountingDetector()
    search = FaceSearch(detector, MIN_FACE_PX, model.faces_among)
    tilted, wall = scene("obama2.jpg", -25.0), np.full((480, 640, 3), 96, np.uint8)
    while not search.faces(tilted):
        assert detector.searches < 2 * ALL_TURNS
    assert search.faces(wall) == []
    before = detector.searches
    for _ in range(EMPTY_FRAMES_PER_TURN - 1):
        assert search.faces(wall) == []
    assert detector.searches - before == EMPTY_FRAMES_PER_TURN - 1


def test_a_face_that_straightens_up_costs_one_search_a_frame_again(
    model: FaceModel, scene: Scene
) -> None:
    detector = CountingDetector()
    search = FaceSearch(detector, MIN_FACE_PX, model.faces_among)
    tilted, upright = scene("obama2.jpg", -25.0), scene("obama2.jpg", 0.0)
    while not search.faces(tilted):
        assert detector.searches < 2 * ALL_TURNS
    before = detector.searches
    assert [len(search.faces(upright)) for _ in range(10)] == [1] * 10
    assert detector.searches - before == 10


def test_a_head_that_nods_between_upright_and_tilted_is_found_in_every_frame(
    model: FaceModel, scene: Scene
) -> None:
    search = FaceSearch(FaceDetector(), MIN_FACE_PX, model.faces_among)
    tilted, upright = scene("obama2.jpg", -25.0), scene("obama2.jpg", 0.0)
    assert any(search.faces(tilted) for _ in range(ALL_TURNS))
    assert [len(search.faces(p)) for p in [upright, tilted] * 5] == [1] * 10
