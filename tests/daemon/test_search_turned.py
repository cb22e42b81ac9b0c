"""Heads tilted further than a cascade can see: real photographs, turned, through the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from people_on_stage import face_of, largest_face

from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.sight.search import door_detector, find_faces
from oneglance.daemon.sight.search_plan import TURNS_DEG, WHOLE_EVERY_S
from oneglance.daemon.visit.decide import Rule, Verdict
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.tail import tail_of

FPS = 10.0
MIN_FACE_PX = 80
FACE_PX = 150
# Each angle has had its turn by then.
ALL_TURNS = round(2 * len(TURNS_DEG) * WHOLE_EVERY_S * FPS)

Scene = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def scene(photos: Path) -> Scene:
    """`scene("obama.jpg", tilt_deg)`: a frame with that face, 150 px wide at half height, tilted.

    `right_px` moves the face off the middle, `scale` enlarges the whole frame of 640x480.
    """

    def scene(
        name: str, tilt_deg: float, *, right_px: float = 0.0, scale: float = 1.0
    ) -> NDArray[np.uint8]:
        image, face = largest_face(photos / name)
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
        door_detector(),
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


@pytest.fixture(scope="module")
def obama(photos: Path) -> Snapshot:
    """A gallery of one person from one photograph."""
    template = face_of(photos / "obama.jpg").template
    return Snapshot(("obama",), {"obama": "Barack Obama"}, template[np.newaxis].copy())


@pytest.mark.parametrize("tilt_deg", [-40.0, 40.0])
def test_a_tilted_head_that_the_upright_search_loses_is_found_and_recognised(
    model: FaceModel, obama: Snapshot, scene: Scene, tilt_deg: float
) -> None:
    pixels = scene("obama2.jpg", tilt_deg)
    upright = find_faces(door_detector(), pixels, MIN_FACE_PX)
    assert model.faces_among(pixels, upright) == []
    assert [v.person_id for v in verdicts(model, obama, pixels)] == ["obama"]


@pytest.mark.parametrize("tilt_deg", [-25.0, 25.0])
def test_a_stranger_with_a_tilted_head_stays_a_stranger(
    model: FaceModel, obama: Snapshot, scene: Scene, tilt_deg: float
) -> None:
    decided = verdicts(model, obama, scene("biden.jpg", tilt_deg))
    assert [(v.person_id, v.reason) for v in decided] == [(None, "not_recognised")]
