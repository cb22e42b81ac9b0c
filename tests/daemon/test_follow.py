"""Faces of real photographs, moved between frames, followed by the shipped aligner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from people_on_stage import FACE_PX, Pixels, Stage

from oneglance.daemon.sight.follow import Sighting, follow, sightings
from oneglance.faces.find.boxes import Box
from oneglance.faces.model.face_model import FaceModel


@pytest.fixture(scope="module")
def stage(photos: Path) -> Stage:
    return Stage(photos, "obama2.jpg", "biden.jpg")


def first_seen(model: FaceModel, pixels: Pixels, x: float, y: float) -> Sighting:
    box = Box(x - FACE_PX / 2, y - FACE_PX / 2, FACE_PX, FACE_PX)
    (sighting,) = sightings(model, pixels, [box])
    assert sighting is not None
    return sighting


@pytest.mark.parametrize("part", [0.0, 0.15, 0.3])
@pytest.mark.parametrize("towards_deg", [0, 60, 135, 270])
def test_a_face_that_moves_by_a_part_of_its_side_is_followed(
    model: FaceModel, stage: Stage, part: float, towards_deg: float
) -> None:
    before = first_seen(model, stage.frame(("obama2.jpg", 300, 220)), 300, 220)
    towards = np.deg2rad(towards_deg)
    step = part * FACE_PX * np.array([np.cos(towards), np.sin(towards)])
    moved = stage.frame(("obama2.jpg", 300 + step[0], 220 + step[1]))
    (now,) = follow(model, moved, [before.points])
    assert now is not None
    assert np.abs(now.points - (before.points + step)).max() < 0.04 * FACE_PX
    assert abs(now.moved - np.hypot(*step) / before.box.width) < 0.05


def test_a_head_that_tilts_bit_by_bit_is_followed_further_than_a_cascade_sees(
    model: FaceModel, stage: Stage
) -> None:
    sighting: Sighting | None = first_seen(model, stage.frame(("obama2.jpg", 300, 220)), 300, 220)
    upright_deg = sighting.tilt_deg if sighting is not None else 0.0
    for tilt_deg in range(0, 41, 5):
        assert sighting is not None
        # OpenCV turns anticlockwise.
        frame = stage.frame(("obama2.jpg", 300, 220), tilt_deg=-tilt_deg)
        (sighting,) = follow(model, frame, [sighting.points])
    assert sighting is not None
    assert abs(sighting.tilt_deg - upright_deg - 40) < 4


@pytest.mark.parametrize("wall", [96, 20, 230])
def test_nobody_is_followed_on_a_wall(model: FaceModel, stage: Stage, wall: int) -> None:
    before = first_seen(model, stage.frame(("obama2.jpg", 300, 220)), 300, 220)
    noise = np.random.default_rng(1).normal(wall, 4, (480, 640, 3))
    empty = np.clip(noise, 0, 255).astype(np.uint8)
    assert follow(model, empty, [before.points]) == [None]


def test_two_people_side_by_side_are_followed_each(model: FaceModel, stage: Stage) -> None:
    frame = stage.frame(("obama2.jpg", 150, 220), ("biden.jpg", 450, 220))
    before = [first_seen(model, frame, 150, 220), first_seen(model, frame, 450, 220)]
    moved = stage.frame(("obama2.jpg", 160, 220), ("biden.jpg", 440, 230))
    left, right = follow(model, moved, [one.points for one in before])
    assert left is not None
    assert right is not None
    assert abs(left.box.centre[0] - before[0].box.centre[0] - 10) < 4
    assert abs(right.box.centre[0] - before[1].box.centre[0] + 10) < 4


def test_who_goes_behind_another_is_not_followed_on_that_ones_face(
    model: FaceModel, stage: Stage
) -> None:
    alone = stage.frame(("biden.jpg", 340, 220))
    behind = first_seen(model, alone, 340, 220)
    before = first_seen(model, stage.frame(("obama2.jpg", 290, 220)), 290, 220)
    frame = stage.frame(("biden.jpg", 340, 220), ("obama2.jpg", 300, 220))
    hidden, front = follow(model, frame, [behind.points, before.points])
    assert hidden is None
    assert front is not None


def test_a_face_is_not_followed_out_of_the_frame(model: FaceModel, stage: Stage) -> None:
    before = first_seen(model, stage.frame(("obama2.jpg", 300, 220)), 300, 220)
    beyond = before.points + np.array([400.0, 0.0])
    assert follow(model, stage.frame(("obama2.jpg", 300, 220)), [beyond]) == [None]


def test_following_nobody_finds_nobody(model: FaceModel, stage: Stage) -> None:
    assert follow(model, stage.frame(), []) == []
