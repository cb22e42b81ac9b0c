from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from people_on_stage import face_of

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.quality import (
    MAX_TURN,
    MIN_BRIGHTNESS,
    MIN_DETAIL,
    Quality,
    check_quality,
    detail,
    distance_hint,
    picture_hint,
    still_quality,
)
from oneglance.errors import ImageError
from oneglance.faces.find.align import CHIP_POINTS
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.pose import turn_and_nod

Chip = NDArray[np.uint8]


@pytest.fixture(scope="module")
def chip(photos: Path) -> Chip:
    """The chip of a good photograph."""
    return face_of(photos / "obama.jpg").chip


def scaled(chip: Chip, factor: float) -> Chip:
    return np.asarray(np.clip(chip * factor, 0, 255), np.uint8)


def moved(chip: Chip, length_px: int, angle_deg: float) -> Chip:
    line = np.zeros((length_px, length_px), np.float32)
    line[length_px // 2] = 1
    middle = (length_px // 2, length_px // 2)
    turn = cv2.getRotationMatrix2D(middle, angle_deg, 1.0)
    kernel = cv2.warpAffine(line, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(chip, -1, kernel / kernel.sum()), np.uint8)


@pytest.mark.parametrize(
    ("side", "hint"),
    [(79, Hint.COME_CLOSER), (80, Hint.NONE), (400, Hint.NONE), (409, Hint.STEP_BACK)],
)
def test_distance_is_judged_by_the_size_of_the_face(side: float, hint: Hint) -> None:
    assert distance_hint(Box(0, 0, side, side), 480, 80) is hint


def test_a_good_picture_needs_no_hint(chip: Chip) -> None:
    assert picture_hint(chip, np.full((480, 640, 3), 120, np.uint8), CHIP_POINTS) is Hint.NONE


def test_a_dark_face_needs_light(chip: Chip) -> None:
    dim = scaled(chip, 0.9 * MIN_BRIGHTNESS / float(chip.mean()))
    assert picture_hint(dim) is Hint.MORE_LIGHT
    assert picture_hint(dim, np.full((480, 640, 3), 20, np.uint8)) is Hint.MORE_LIGHT


def test_a_dark_face_before_a_bright_wall_has_the_light_behind_it(chip: Chip) -> None:
    dim = scaled(chip, 0.9 * MIN_BRIGHTNESS / float(chip.mean()))
    assert picture_hint(dim, np.full((480, 640, 3), 160, np.uint8)) is Hint.BACKLIT


def test_a_well_lit_face_before_a_bright_wall_is_not_backlit(chip: Chip) -> None:
    assert picture_hint(chip, np.full((480, 640, 3), 255, np.uint8)) is Hint.NONE


def test_a_washed_out_face_is_in_the_wrong_light(chip: Chip) -> None:
    assert picture_hint(scaled(chip, 4.0)) is Hint.MORE_LIGHT


def test_a_face_out_of_focus_is_asked_to_hold_still(chip: Chip) -> None:
    blurred = np.asarray(cv2.GaussianBlur(chip, (0, 0), 4.0), np.uint8)
    assert picture_hint(blurred) is Hint.HOLD_STILL


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90, 120, 135])
def test_motion_in_any_direction_is_blur(chip: Chip, angle_deg: float) -> None:
    assert picture_hint(moved(chip, 21, angle_deg)) is Hint.HOLD_STILL


def test_dim_light_is_no_blur(chip: Chip) -> None:
    assert detail(scaled(chip, 0.4)) > 0.3 * detail(chip) > MIN_DETAIL


def test_a_face_without_anything_in_it_is_not_good() -> None:
    assert picture_hint(np.full((112, 112, 3), 120, np.uint8)) is Hint.HOLD_STILL


@pytest.mark.parametrize(
    ("nose", "hint"),
    [
        ((0.0, 0.0), Hint.NONE),
        ((10.0, 0.0), Hint.NONE),
        ((18.0, 0.0), Hint.LOOK_AT_CAMERA),
        ((-18.0, 0.0), Hint.LOOK_AT_CAMERA),
        ((0.0, -16.0), Hint.LOOK_AT_CAMERA),
        ((0.0, 17.0), Hint.LOOK_AT_CAMERA),
        ((float("nan"), 0.0), Hint.LOOK_AT_CAMERA),
    ],
)
def test_a_face_turned_far_away_is_asked_to_look(
    chip: Chip, nose: tuple[float, float], hint: Hint
) -> None:
    points = CHIP_POINTS.copy()
    points[2] += nose
    assert picture_hint(chip, None, points) is hint


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(0.2, 5.0), st.floats(-300, 300))
def test_turn_and_nod_do_not_depend_on_place_size_and_tilt(
    tilt_deg: float, size: float, shift: float
) -> None:
    tilt = np.deg2rad(tilt_deg)
    spin = size * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    upright = turn_and_nod(CHIP_POINTS)
    assert turn_and_nod(CHIP_POINTS @ spin.T + shift) == pytest.approx(upright, abs=1e-3)
    assert abs(upright[0]) < 0.1 < MAX_TURN


def test_what_is_wrong_first_is_said_first(chip: Chip) -> None:
    points = CHIP_POINTS.copy()
    points[2] += (30.0, 0.0)
    blurred = np.asarray(cv2.GaussianBlur(chip, (0, 0), 5.0), np.uint8)
    assert picture_hint(scaled(blurred, 0.05), None, points) is Hint.MORE_LIGHT
    assert picture_hint(blurred, None, points) is Hint.HOLD_STILL
    assert picture_hint(chip, None, points) is Hint.LOOK_AT_CAMERA


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 4),
    st.floats(20, 200),
    st.sampled_from([0, 5, 11, 17]),
    st.floats(-30, 30),
    st.floats(-30, 30),
)
def test_a_still_scores_100_just_where_the_door_has_no_hint_for_it(
    chip: Chip, light: float, width_px: float, moved_px: int, nose_x: float, nose_y: float
) -> None:
    worse = scaled(moved(chip, moved_px, 30.0) if moved_px else chip, light)
    points = CHIP_POINTS + np.array([[0, 0], [0, 0], [nose_x, nose_y], [0, 0], [0, 0]])
    quality = still_quality(worse, points, width_px, 80)
    hints = {
        distance_hint(Box(0, 0, width_px, width_px), 480, 80),
        picture_hint(worse, None, points),
    }
    assert (quality.score == 100) == (hints == {Hint.NONE})
    assert bool(quality.fault) == (quality.score < 100)
    assert 0 <= quality.score <= 100


def test_points_that_are_no_numbers_are_worth_nothing(chip: Chip) -> None:
    assert still_quality(chip, np.full((5, 2), np.nan), 200, 80).score == 0


def test_the_worst_picture_is_named_if_it_is_too_bad() -> None:
    fair = ("ada1.jpg", Quality(50, "blurred"))
    check_quality([fair])
    with pytest.raises(ImageError, match=r"ada2\.jpg: the face is too dark \(quality 49 of 100"):
        check_quality([fair, ("ada2.jpg", Quality(49, "too dark"))])
