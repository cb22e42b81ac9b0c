"""What is kept of a face's frames, and what their motion tells: planes are planes."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liveness_scenes import (
    POINTS,
    Depth,
    Scene,
    bent_depth,
    head_depth,
    no_depth,
    patterned,
    wander,
)

from oneglance.faces.liveness import motion
from oneglance.faces.liveness.trace import (
    FACE_PX,
    GLANCE_EVERY_S,
    KEPT_S,
    MOST_GLANCES,
    MOST_LOOKS,
    SURROUND_PX,
    Glance,
    Trace,
)

STEP_S = 0.06
FRAMES = 7
FRAME = np.full((480, 640, 3), 90, np.uint8)
FACE = POINTS * 120 + [320, 240]
# Of 120 scenes each: no sheet's bump was above 0.38 nor its softness above -0.68, no bent sheet's
# ring below -0.9 nor its share carried below 0.19. The median head's are 0.54, -0.18, -4 and 0.
MOST_BUMP, MOST_SOFT = 0.6, -0.6


def traced(
    scene: Scene, seed: int, size: float = 1.0, step_s: float = STEP_S
) -> tuple[Glance, ...]:
    trace = Trace()
    for step, pose in enumerate(wander(np.random.default_rng(seed), FRAMES, STEP_S, size)):
        pixels, points = scene.draw(pose)
        trace.see(pixels, points, step * step_s)
    return trace.glances


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([no_depth, bent_depth]))
def test_no_way_of_moving_a_sheet_shows_a_nose(seed: int, depth: Depth) -> None:
    cues = motion.measure(traced(Scene(seed, depth, (1.2, 1.2)), seed))
    assert cues["bump"] < MOST_BUMP
    assert cues["soft"] < MOST_SOFT
    assert cues["ring"] > -2
    assert cues["carried"] > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_head_before_a_wall_is_no_plane_and_the_wall_stays(seed: int) -> None:
    head = motion.measure(traced(Scene(seed, head_depth), seed))
    sheet = motion.measure(traced(Scene(seed, no_depth, (1.2, 1.2)), seed))
    assert head["soft"] > sheet["soft"] + 0.3
    assert head["ring"] < -1
    assert head["carried"] < 0.1 < sheet["carried"]
    assert math.isnan(head["unrest"]) or head["unrest"] < 0.5


def test_most_heads_that_turn_show_a_nose() -> None:
    bumps = [motion.measure(traced(Scene(seed), seed, 1.6))["bump"] for seed in range(5)]
    assert np.median(bumps) > 0.4


def test_with_fewer_than_four_pictures_a_second_no_nose_is_seen_either() -> None:
    # Where nothing tells what moves around a face, a head on a screen has a nose like any other.
    for step_s, seen in ((1 / 4, True), (1 / 3.5, False)):
        cues = motion.measure(traced(Scene(1), 1, 1.6, step_s))
        assert math.isfinite(cues["bump"]) is seen
        assert math.isfinite(cues["unrest"]) is seen


def test_what_never_moves_tells_nothing_of_its_surroundings() -> None:
    cues = motion.measure(traced(Scene(3), 3, size=0.0))
    assert math.isnan(cues["ring"]) or abs(cues["ring"]) < 0.5
    assert cues["unrest"] == 0
    moved = motion.measure(traced(Scene(3), 3))
    assert cues["stir"] < moved["stir"] - 0.5


@pytest.mark.parametrize("step_s", [STEP_S, 1 / 8, 1 / 4])
@pytest.mark.parametrize("hand_px", [0.0, 4.0])
def test_a_room_that_moves_is_a_screens_whatever_its_face_does(
    hand_px: float, step_s: float
) -> None:
    room = patterned(np.random.default_rng(5), 520, 680, 3.0)
    trace = Trace()
    for step in range(2 * FRAMES):
        right, down = np.rint(20 + hand_px * np.array([np.sin(step / 3), np.cos(step / 2)]))
        seen = room[int(down) : int(down) + 480, int(right) : int(right) + 640]
        # The face goes up and down by itself, on the screen or before the wall.
        points = np.add(FACE, [0.0, 3.0 * np.sin(step / 1.7)])
        trace.see(np.repeat(seen[..., None], 3, 2), points, step * step_s)
    unrest = motion.measure(trace.glances)["unrest"]
    assert unrest > 0.8 if hand_px else unrest == 0


def test_hair_that_moves_before_a_plain_wall_is_no_moving_room() -> None:
    hair = patterned(np.random.default_rng(5), 520, 680, 3.0)
    trace = Trace()
    for step in range(2 * FRAMES):
        seen = np.full((480, 640), 128, np.uint8)
        right = int(20 + 4 * np.sin(step / 3))
        for left in (228, 394):
            part = (slice(210, 260), slice(left, left + 18))
            seen[part] = hair[20:500, right : right + 640][part]
        trace.see(np.repeat(seen[..., None], 3, 2), FACE, step * STEP_S)
    assert 0 < motion.measure(trace.glances)["unrest"] < 0.6


def below(sway_px: float, begins: int = 330, step_s: float = STEP_S) -> tuple[Glance, ...]:
    """A face that nods before a plain wall, and what lies below it from a row on, which sways."""
    cloth = patterned(np.random.default_rng(7), 520, 680, 3.0)
    trace = Trace()
    for step in range(2 * FRAMES):
        seen = np.full((480, 640), 128, np.uint8)
        seen[200:300, 240:260] = cloth[200:300, 240:260]
        right = 20 + sway_px * np.sin(step / 3)
        moved = np.float32([[1, 0, right - 20], [0, 1, 0]])
        swayed = cv2.warpAffine(cloth, moved, (640, 480))
        seen[begins:, 170:470] = swayed[begins:, 170:470]
        points = np.add(FACE, [0.0, 3.0 * np.sin(step / 1.7)])
        trace.see(np.repeat(seen[..., None], 3, 2), points, step * step_s)
    return trace.glances


@pytest.mark.parametrize("step_s", [STEP_S, 1 / 8, 1 / 4])
@pytest.mark.parametrize(("sway_px", "kept"), [(0.0, True), (1.5, False), (6.0, False)])
def test_what_keeps_still_right_below_a_head_is_no_trunk(
    sway_px: float, kept: bool, step_s: float
) -> None:
    still = motion.measure(below(sway_px, step_s=step_s))["still"]
    assert still > 0.5 if kept else still < 0.03


def test_what_keeps_still_beside_the_shoulders_is_a_wall() -> None:
    assert motion.measure(below(0.0, begins=480))["still"] == 0
    wall = patterned(np.random.default_rng(8), 480, 640, 3.0)
    trace = Trace()
    for step in range(2 * FRAMES):
        seen = wall.copy()
        # A plain coat, of which nothing but its edges is to be seen.
        seen[330:, 175:465] = 90
        points = np.add(FACE, [0.0, 3.0 * np.sin(step / 1.7)])
        trace.see(np.repeat(seen[..., None], 3, 2), points, step * STEP_S)
    cues = motion.measure(trace.glances)
    assert cues["still"] < 0.1


def test_where_the_picture_ends_at_the_chin_nothing_is_told_of_what_lies_below() -> None:
    low = below(0.0)[-1].box.centre[1]
    assert low < 260
    trace = Trace()
    for step in range(2 * FRAMES):
        # The frame ends at the chin.
        points = np.add(FACE, [0.0, 160.0 + 3.0 * np.sin(step / 1.7)])
        trace.see(FRAME, points, step * STEP_S)
    assert math.isnan(motion.measure(trace.glances)["still"])


def test_what_moves_below_a_head_is_no_moving_room() -> None:
    assert motion.measure(below(6.0))["unrest"] in (0.0, pytest.approx(math.nan, nan_ok=True))


def test_what_stays_looks_the_same_to_the_px_wherever_the_face_goes() -> None:
    room = np.repeat(patterned(np.random.default_rng(6), 480, 640, 2.0)[..., None], 3, 2)
    trace = Trace()
    for step, (right, down, size) in enumerate([(0, 0, 1.0), (-37, 21, 1.0), (50, -9, 1.9)]):
        middle = np.add(FACE.mean(0), [right, down])
        trace.see(room, (FACE - FACE.mean(0)) * size + middle, step * STEP_S)
    for glance in trace.glances:
        corner, size = glance.corner, 2**glance.halvings
        whole = room[corner[1] :, corner[0] :, 0]
        rows, columns = glance.wall.shape
        whole = whole[: rows * size, : columns * size].astype(float)
        mean = whole.reshape(rows, size, columns, size).mean((1, 3))
        # Each halving rounds to whole grey levels.
        assert np.abs(glance.wall - mean).max() <= glance.halvings
    assert len({glance.halvings for glance in trace.glances}) > 1


def test_one_glance_tells_nothing() -> None:
    trace = Trace()
    assert all(math.isnan(value) for value in motion.measure(trace.glances).values())
    trace.see(FRAME, FACE, 0.0)
    assert all(math.isnan(value) for value in motion.measure(trace.glances).values())


def test_a_face_of_one_colour_measures_nothing_that_is_no_number_as_a_number() -> None:
    trace = Trace()
    for step in range(6):
        trace.see(FRAME, FACE + 6.0 * step, step * STEP_S)
    cues = motion.measure(trace.glances)
    assert set(cues) == set(motion.CUES)
    assert not any(math.isinf(value) for value in cues.values())


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=60))
def test_memory_is_bounded_and_time_never_runs_back_in_it(times: list[float]) -> None:
    trace = Trace()
    for at_s in times:
        trace.see(FRAME, FACE, at_s)
        trace.look({"stir": 0.0}, at_s)
    kept = [glance.at_s for glance in trace.glances]
    assert kept == sorted(kept)
    assert kept[-1] - kept[0] <= KEPT_S
    assert len(trace.looks) <= MOST_LOOKS


def test_a_long_stay_keeps_its_last_seconds() -> None:
    trace = Trace()
    for step in range(3 * MOST_GLANCES):
        trace.see(FRAME, FACE, 0.01 * step)
    gaps = np.diff([glance.at_s for glance in trace.glances])
    assert len(trace.glances) <= MOST_GLANCES
    assert gaps.min() >= GLANCE_EVERY_S - 1e-9
    newest = trace.glances[-1]
    assert newest.surround.shape == (SURROUND_PX, SURROUND_PX)
    assert newest.face.shape == (FACE_PX, FACE_PX)


def test_time_that_runs_back_begins_anew() -> None:
    trace = Trace()
    for at_s in (5.0, 5.1, 5.2):
        trace.see(FRAME, FACE, at_s)
    trace.look({"bump": 1.0}, 5.2)
    trace.see(FRAME, FACE, 1.0)
    assert [glance.at_s for glance in trace.glances] == [1.0]
    assert trace.looks == ()


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), np.nan),
        np.full((5, 2), 100.0),
        np.tile([100.0, 50.0], (5, 1)),
        FACE + 5000.0,
        FACE * 1e9,
        np.zeros((4, 2)),
    ],
)
def test_points_of_no_face_are_passed_over(points: np.ndarray) -> None:
    trace = Trace()
    trace.see(FRAME, points, 0.0)
    assert trace.glances == ()


@pytest.mark.parametrize("at_s", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_passed_over(at_s: float) -> None:
    trace = Trace()
    trace.see(FRAME, FACE, 1.0)
    trace.see(FRAME, FACE, at_s)
    trace.look({"bump": 1.0}, at_s)
    assert len(trace.glances) == 1
    assert trace.looks == ()


def test_a_face_at_the_edge_knows_what_the_frame_covers() -> None:
    trace = Trace()
    trace.see(FRAME, POINTS * 120 + [40, 240], 0.0)
    (glance,) = trace.glances
    left, top, right, bottom = glance.inside
    assert left > 30
    assert (top, right, bottom) == (0, SURROUND_PX, SURROUND_PX)
