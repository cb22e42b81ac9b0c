"""The guide: asks for one thing after the other, and takes a picture only when it is good."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.cli.collect.guide import GOOD, STILLS, Guide, Pace
from oneglance.cli.collect.plan import STEPS, Aim, pictures_by_step
from oneglance.cli.collect.pose import Pose, advice, pose_of, typical
from oneglance.contract.messages import Hint
from oneglance.faces.find.align import CHIP_POINTS
from oneglance.kiosk_ui.words import HINTS

STRAIGHT = Pose(turn=0.02, nod=0.55, face_px=150.0)
POSES = {
    Aim.STRAIGHT: STRAIGHT,
    Aim.LEFT: Pose(0.2, 0.55, 150.0),
    Aim.RIGHT: Pose(-0.15, 0.55, 150.0),
    Aim.UP: Pose(0.02, 0.45, 150.0),
    Aim.DOWN: Pose(0.02, 0.65, 150.0),
    Aim.CLOSER: Pose(0.02, 0.55, 200.0),
    Aim.FARTHER: Pose(0.02, 0.55, 100.0),
    Aim.ANY: STRAIGHT,
}


def points(turn: float = 0.0, chin_up: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    """The standard five points, the nose moved right (in eye distances) and up, and all turned."""
    moved = CHIP_POINTS.astype(np.float64)
    apart = moved[1, 0] - moved[0, 0]
    moved[2] += [turn * apart, -chin_up * apart]
    angle = np.deg2rad(roll_deg)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (moved - 56) @ matrix.T + 56


@given(st.integers(1, 5000))
def test_every_picture_belongs_to_one_step_and_a_quarter_are_anchors(count: int) -> None:
    shares = pictures_by_step(count)
    assert sum(shares.values()) == count
    assert list(shares) == [step.key for step in STEPS]
    assert min(shares.values()) >= 0
    assert abs(shares["straight"] - max(1, count / 4)) <= 0.5
    others = [shares[step.key] for step in STEPS[1:]]
    assert max(others) - min(others) <= 1


def test_only_the_first_step_gives_anchors() -> None:
    assert Counter(step.role for step in STEPS) == {"anchor": 1, "positive": len(STEPS) - 1}


@given(st.floats(-0.3, 0.3), st.floats(-0.2, 0.2), st.floats(-40, 40), st.floats(0.5, 4))
def test_turn_and_nod_are_measured_alike_at_any_tilt_and_size(
    turn: float, chin_up: float, roll_deg: float, size: float
) -> None:
    upright = pose_of(points(turn, chin_up), 100.0)
    tilted = pose_of(size * points(turn, chin_up, roll_deg), 100.0)
    assert tilted.turn == pytest.approx(upright.turn, abs=1e-6)
    assert tilted.nod == pytest.approx(upright.nod, abs=1e-6)


def test_the_nose_moves_to_the_right_of_the_picture_when_somebody_turns_left() -> None:
    ahead = pose_of(points(), 100.0)
    assert pose_of(points(turn=0.1), 100.0).turn == pytest.approx(ahead.turn + 0.1, abs=1e-3)
    assert pose_of(points(chin_up=0.1), 100.0).nod < ahead.nod
    assert advice(Aim.LEFT, pose_of(points(turn=0.1), 100.0), ahead) == ""
    assert advice(Aim.UP, pose_of(points(chin_up=0.1), 100.0), ahead) == ""


@pytest.mark.parametrize("aim", [aim for aim in Aim if aim not in {Aim.ANY, Aim.STRAIGHT}])
def test_a_pose_fits_its_own_aim_and_not_the_opposite(aim: Aim) -> None:
    assert advice(aim, POSES[aim], STRAIGHT) == ""
    assert advice(aim, STRAIGHT, STRAIGHT) != ""
    order = [Aim.LEFT, Aim.RIGHT, Aim.UP, Aim.DOWN, Aim.CLOSER, Aim.FARTHER]
    opposite = order[order.index(aim) ^ 1]
    assert advice(aim, POSES[opposite], STRAIGHT) != ""


def test_too_much_is_said_too() -> None:
    assert advice(Aim.LEFT, Pose(0.5, 0.55, 150.0), STRAIGHT) == "A little less"
    assert advice(Aim.STRAIGHT, Pose(0.3, 0.55, 150.0), None) == "Look straight at the camera"


def test_a_person_is_compared_with_how_they_themselves_look_ahead() -> None:
    crooked = Pose(0.15, 0.4, 150.0)
    assert advice(Aim.LEFT, Pose(0.2, 0.4, 150.0), crooked) == "A little more"
    assert advice(Aim.STRAIGHT, Pose(0.2, 0.4, 150.0), crooked) == ""
    assert typical([STRAIGHT, crooked, crooked]) == crooked
    assert typical([]) is None


def walk(guide: Guide, frame_s: float = 0.25, limit: int = 5000) -> list[tuple[str, float]]:
    """A person who does what they are asked; the steps and times of the pictures."""
    taken = []
    for frame in range(limit):
        step = guide.step
        if step is None:
            return taken
        at_s = frame * frame_s
        if guide.look(Hint.NONE, POSES[step.aim], at_s) is None:
            guide.note_taken(POSES[step.aim], at_s)
            taken.append((step.key, at_s))
    pytest.fail("it never ended")


@given(st.integers(1, 80))
def test_whoever_does_what_is_asked_is_led_through_all_steps_in_order(count: int) -> None:
    wanted = pictures_by_step(count)
    guide = Guide(wanted, {})
    taken = walk(guide)
    assert [key for key, _ in taken] == [key for key, n in wanted.items() for _ in range(n)]
    assert (guide.taken, guide.total) == (count, count)
    times = [at_s for _, at_s in taken]
    assert all(b - a >= 0.5 for a, b in pairwise(times))


@given(st.integers(1, 40), st.integers(0, 40))
def test_a_second_run_asks_only_for_what_is_missing(count: int, before: int) -> None:
    wanted = pictures_by_step(count)
    complete = walk(Guide(wanted, {}))
    done = Counter(key for key, _ in complete[:before])
    poses = [STRAIGHT] * done["straight"]
    rest = walk(Guide(wanted, done, poses))
    assert [key for key, _ in rest] == [key for key, _ in complete[before:]]


def test_nothing_is_taken_while_the_text_is_being_read() -> None:
    guide = Guide({"straight": 1, "glasses": 1}, {})
    assert guide.look(Hint.NONE, STRAIGHT, 100.0) == "Get ready"
    assert guide.look(Hint.NONE, STRAIGHT, 101.0) == "Get ready"
    assert guide.look(Hint.NONE, STRAIGHT, 102.0) is None
    guide.note_taken(STRAIGHT, 102.0)
    # Glasses are not on one's nose at once.
    assert guide.look(Hint.NONE, STRAIGHT, 104.0) == "Get ready"
    assert guide.look(Hint.NONE, STRAIGHT, 110.0) is None


@pytest.mark.parametrize("hint", [hint for hint in Hint if hint is not Hint.NONE])
def test_a_poor_picture_is_never_taken_however_long_it_lasts(hint: Hint) -> None:
    guide = Guide(pictures_by_step(20), {}, pace=STILLS)
    for at_s in range(0, 100, 5):
        assert guide.look(hint, STRAIGHT, float(at_s)) == HINTS[hint]


def test_no_face_is_never_taken_and_in_a_turn_asks_to_turn_back() -> None:
    guide = Guide({"left": 1}, {}, [STRAIGHT], pace=STILLS)
    for at_s in range(0, 100, 5):
        said = guide.look(Hint.LOOK_AT_CAMERA, None, float(at_s))
        assert said == "I cannot see your face. Turn back a little"
    assert guide.look(Hint.NONE, None, 200.0) is not None


def test_who_cannot_take_up_a_pose_is_not_kept_for_ever() -> None:
    guide = Guide({"left": 1}, {}, [STRAIGHT], Pace(settle=0.0, patience_s=8.0))
    assert guide.look(Hint.NONE, STRAIGHT, 0.0) == "A little more"
    # A poor picture does not begin the wait anew, and is not taken at its end.
    assert guide.look(Hint.HOLD_STILL, STRAIGHT, 8.0) == HINTS[Hint.HOLD_STILL]
    assert guide.look(Hint.NONE, STRAIGHT, 7.9) == "A little more"
    assert guide.look(Hint.NONE, STRAIGHT, 8.1) is None
    assert not guide.as_asked(STRAIGHT)
    assert guide.as_asked(POSES[Aim.LEFT])


def test_pictures_that_follow_at_once_are_not_taken() -> None:
    guide = Guide({"straight": 2}, {}, pace=Pace(settle=0.0))
    assert guide.look(Hint.NONE, STRAIGHT, 0.0) is None
    guide.note_taken(STRAIGHT, 0.0)
    assert guide.look(Hint.NONE, STRAIGHT, 0.4) == GOOD
    assert guide.look(Hint.NONE, STRAIGHT, 0.5) is None


def test_more_than_is_wanted_is_refused() -> None:
    guide = Guide({"straight": 1}, {"straight": 1, "unrecorded": 5})
    assert guide.step is None
    assert (guide.taken, guide.total) == (1, 1)
    with pytest.raises(ValueError, match="no picture is wanted"):
        guide.note_taken(STRAIGHT, 0.0)
