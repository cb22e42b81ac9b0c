"""The cut-out: similarity, sampling, and what the landmark network is asked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box


@given(
    st.floats(-3.1, 3.1),
    st.floats(0.1, 400.0),
    st.floats(-500, 500),
    st.floats(-500, 500),
)
def test_a_similarity_is_recovered_from_five_points(
    angle: float, scale: float, right: float, down: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = align.MEAN_POINTS @ turn.T + [right, down]
    found = align.fit_similarity(align.MEAN_POINTS, target)
    assert align.apply(found, align.MEAN_POINTS) == pytest.approx(target, abs=1e-3 * scale + 1e-6)


def test_a_reflected_face_is_never_mirrored_back() -> None:
    found = align.fit_similarity(align.MEAN_POINTS, align.MEAN_POINTS * [-1, 1])
    assert np.linalg.det(found[:, :2]) >= 0


def test_cutting_the_whole_picture_at_its_own_size_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = np.array([[64.0, 0.0, 0.0], [0.0, 64.0, 0.0]])
    assert np.array_equal(align.cut(image, whole, 64), image)


def test_a_large_face_is_averaged_down_and_not_aliased() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = align.cut(stripes, np.array([[400.0, 0.0, 0.0], [0.0, 400.0, 0.0]]), 100)
    assert chip.min() > 120
    assert chip.max() < 136


def test_a_stripe_between_the_sampled_pixels_is_seen() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, 1::4] = stripes[:, 2::4] = 255
    chip = align.cut(stripes, np.array([[400.0, 0.0, 0.0], [0.0, 400.0, 0.0]]), 100)
    assert chip.min() > 120
    assert chip.max() < 136


@pytest.mark.parametrize("size", [50, 112, 300])
def test_a_shrunk_cut_shows_the_same_place_as_a_full_one(size: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 600)[None, :, None], (600, 600, 3))
    matrix = np.array([[300.0, 0.0, 150.0], [0.0, 300.0, 150.0]])
    chip = align.cut(ramp.astype(np.uint8), matrix, size).astype(float)
    middles = (np.arange(size) + 0.5) / size * 300 + 150
    wanted = (middles - 0.5) / 599 * 255
    assert np.abs(chip[size // 2, :, 0] - wanted).max() < 1.5


def test_a_small_face_is_blown_up_sharper_than_by_straight_lines() -> None:
    y, x = np.mgrid[0:112, 0:112]
    fine = (127 + 60 * np.sin(x / 6) + 60 * np.cos(y / 5)).astype(np.uint8)
    small = np.asarray(cv2.resize(fine, (28, 28), interpolation=cv2.INTER_AREA), np.uint8)
    whole = np.array([[28.0, 0, 0], [0, 28.0, 0]])
    straight = cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR)

    def error(picture: np.ndarray) -> float:
        inside = (slice(8, -8), slice(8, -8))
        return float(np.abs(picture[inside].astype(float) - fine[inside]).mean())

    assert error(align.cut(small, whole, 112)) < 0.8 * error(straight)


def test_beyond_the_edge_of_the_frame_a_chip_is_black() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    away = np.array([[50.0, 0.0, 300.0], [0.0, 50.0, 300.0]])
    assert align.cut(white, away, 64).max() == 0
    assert align.cut(white, away * 8, 64).max() == 0


def test_an_aligner_that_always_says_the_mean_face_leaves_the_box_where_it_is() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    box = Box(50, 60, 80, 80)

    def mean_face(crops: np.ndarray) -> np.ndarray:
        points = np.broadcast_to(align.MEAN_POINTS, (len(crops), 5, 2)).copy()
        half = len(crops) // 2
        points[half:] = align.mirror_points(points[half:])
        return points

    found = align.locate(image, [box], mean_face, 1)
    wanted = align.apply(align.crop_matrix(box), align.MEAN_POINTS)
    assert found.points[0] == pytest.approx(wanted, abs=1e-4)
    assert found.doubts[0] == pytest.approx(0, abs=1e-6)


def test_the_answer_is_the_mean_of_the_upright_and_the_mirrored_crop() -> None:
    box = Box(50, 60, 80, 80)

    def right_in_one_of_two(crops: np.ndarray) -> np.ndarray:
        upright = align.MEAN_POINTS + np.array([0.1, 0.0])
        return np.stack([upright, align.mirror_points(align.MEAN_POINTS)])

    found = align.locate(np.zeros((200, 200, 3), np.uint8), [box], right_in_one_of_two, 1)
    wanted = align.apply(align.crop_matrix(box), align.MEAN_POINTS + np.array([0.05, 0.0]))
    assert found.points[0] == pytest.approx(wanted, abs=1e-4)


def test_answers_that_disagree_about_the_mirrored_face_raise_doubt() -> None:
    image = np.zeros((200, 200, 3), np.uint8)

    def stubborn(crops: np.ndarray) -> np.ndarray:
        return np.broadcast_to(align.MEAN_POINTS + np.array([0.2, 0.0]), (len(crops), 5, 2))

    found = align.locate(image, [Box(50, 50, 80, 80)], stubborn, 2)
    assert found.doubts[0] > align.MAX_DOUBT


@given(st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_mirroring_points_twice_changes_nothing(values: list[float]) -> None:
    points = np.array(values).reshape(5, 2)
    twice = align.mirror_points(align.mirror_points(points))
    assert twice == pytest.approx(points, abs=1e-9)


def test_no_boxes_ask_the_aligner_nothing() -> None:
    def never(crops: np.ndarray) -> np.ndarray:
        raise AssertionError("asked about no faces")

    found = align.locate(np.zeros((50, 50, 3), np.uint8), [], never, 2)
    assert found.points.shape == (0, 5, 2)
    assert found.doubts.shape == (0,)


boxes = st.builds(
    Box, st.floats(-50, 500), st.floats(-50, 500), st.floats(1, 300), st.floats(1, 300)
)


@given(boxes, boxes)
def test_iou_is_symmetric_and_between_nothing_and_the_same(a: Box, b: Box) -> None:
    assert 0 <= a.iou(b) <= 1
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert a.iou(a) == pytest.approx(1)


@given(boxes, st.floats(0.1, 5))
def test_a_scaled_box_keeps_its_centre(box: Box, factor: float) -> None:
    assert box.scaled(factor).centre == pytest.approx(box.centre, abs=1e-6)
    assert box.scaled(factor).area == pytest.approx(box.area * factor**2)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5), (float("nan"), 5)])
def test_a_box_without_extent_is_refused(width: float, height: float) -> None:
    with pytest.raises(ValueError, match="positive size"):
        Box(0, 0, width, height)
