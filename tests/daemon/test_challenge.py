"""The challenge of one visit: passed only by who does what was asked, after it was asked."""

from __future__ import annotations

from itertools import pairwise
from random import Random, SystemRandom

import numpy as np
import pytest
from challenged import DONE, VERDICT, Visitor, face, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.contract.keyring import Role
from oneglance.contract.messages import Liveness, Step
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.challenge import (
    ATTEMPTS,
    GAP_S,
    PAUSE_S,
    REACTION_S,
    STEPS,
    Challenge,
    End,
)
from oneglance.daemon.visit.challenges import COMES_CLOSER, LEFT_S, MOST_OF_FRAME, Challenges
from oneglance.daemon.visit.movement import ALL_STEPS, TURNS, movement, sizes
from oneglance.daemon.voice.challenge_shown import challenge_shown
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.faces.find.align import box_around
from oneglance.faces.find.pose import parallax

SEEDS = st.integers(0, 10_000)


def other_step(than: Step | None) -> Step:
    return next(step for step in ALL_STEPS if step is not than)


def test_who_does_what_is_asked_passes() -> None:
    visitor = Visitor()
    asked = [visitor.obey() for _ in range(STEPS)]
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED
    assert len(set(asked)) == STEPS
    assert len(set(asked) & set(TURNS)) >= STEPS - 1
    answer = visitor.challenge.answer
    assert answer is not None
    assert (answer.person_id, answer.liveness, answer.reason) == ("ada", Liveness.PASSED, "")


@given(SEEDS, st.sampled_from([8.0, 12.0, 25.0]), st.floats(0.25, 3.0))
@settings(max_examples=15, deadline=None)
def test_everybody_passes_who_obeys_at_their_own_pace(
    seed: int, fps: float, reaction_s: float
) -> None:
    visitor = Visitor(seed, fps=fps)
    for _ in range(STEPS):
        visitor.obey(reaction_s=reaction_s)
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_who_has_no_room_to_come_closer_is_asked_for_one_turn_more(seed: int) -> None:
    visitor = Visitor(seed, room=False)
    asked = [visitor.obey() for _ in range(STEPS)]
    assert visitor.end is None
    asked.append(visitor.obey())
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED
    assert set(asked) <= set(TURNS)
    assert all(a is not b for a, b in pairwise(asked))


@given(SEEDS, st.lists(st.tuples(st.sampled_from(ALL_STEPS), st.floats(0.1, 2.5)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_nobody_passes_without_each_step_in_its_order_after_its_prompt(
    seed: int, moves: list[tuple[Step, float]]
) -> None:
    visitor = Visitor(seed)
    done: list[tuple[int, Step]] = []
    wanted: list[Step] = []

    def note() -> None:
        prompt = visitor.challenge.prompt
        if prompt is not None and prompt.step is not Step.LOOK_STRAIGHT:
            pair = (prompt.attempt, prompt.step)
            if pair not in asked:
                asked.append(pair)

    asked: list[tuple[int, Step]] = []
    for step, wait_s in moves:
        visitor.wait_until(lambda: False, wait_s)
        note()
        prompt = visitor.challenge.prompt
        if prompt is not None and prompt.step is step:
            done.append((prompt.attempt, step))
        visitor.move(step)
        note()
    visitor.wait(4)
    if visitor.end is End.PASSED:
        attempt = asked[-1][0]
        wanted = [step for number, step in asked if number == attempt]
        assert len(wanted) == STEPS
        assert [step for number, step in done if number == attempt] == wanted


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_another_movement_ends_the_attempt_and_the_second_one_ends_it_all(seed: int) -> None:
    visitor = Visitor(seed)
    orders = []
    for attempt in range(1, ATTEMPTS + 1):
        step = visitor.wait_for_step()
        assert visitor.challenge.prompt is not None
        assert visitor.challenge.prompt.attempt == attempt
        orders.append(tuple(visitor.challenge.order))
        visitor.wait(0.5)
        visitor.move(other_step(step))
    assert visitor.end is End.WRONG
    assert orders[0] != orders[1]
    answer = visitor.challenge.answer
    assert answer is not None
    assert (answer.accepted, answer.reason) == (False, "presentation_attack")
    assert answer.liveness is Liveness.FAILED


def test_a_face_lost_twice_in_a_row_costs_one_attempt() -> None:
    visitor = Visitor(3)
    visitor.obey()
    visitor.wait_for_step()
    for _ in range(3):
        visitor.now_s += 0.5
        visitor.frame(followed=False)
    assert visitor.challenge.failures == [End.LOST]
    for _ in range(STEPS):
        visitor.obey()
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED


@given(SEEDS)
@settings(max_examples=12, deadline=None)
def test_who_has_come_near_meanwhile_is_asked_to_turn_instead(seed: int) -> None:
    visitor = Visitor(seed)
    visitor.frame()
    drawn = list(visitor.challenge.order)
    visitor.room = False
    asked = [visitor.obey() for _ in range(STEPS)]
    if Step.COME_CLOSER in drawn:
        assert visitor.end is None
        asked.append(visitor.obey())
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED
    assert set(asked) <= set(TURNS)
    assert all(a is not b for a, b in pairwise(asked))
    kept = drawn[: drawn.index(Step.COME_CLOSER)] if Step.COME_CLOSER in drawn else drawn
    assert asked[: len(kept)] == kept


def test_who_looks_down_has_done_nothing_that_was_not_asked() -> None:
    visitor = Visitor(TURNED_FIRST)
    step = visitor.wait_for_step()
    assert step is not None
    visitor.step, visitor.part = Step.LOOK_UP, -1.0
    visitor.frame()
    made, part = visitor.challenge.moved(face(0, -25))
    assert (made, part >= 1) == (None, True)
    visitor.wait(1.0)
    visitor.part = 0.0
    assert (visitor.challenge.failures, visitor.asked) == ([], step)
    visitor.wait(0.3)
    visitor.move(step)
    assert (visitor.challenge.failures, visitor.asked) == ([], Step.LOOK_STRAIGHT)


def test_a_second_attempt_can_still_be_passed() -> None:
    visitor = Visitor(3)
    step = visitor.wait_for_step()
    visitor.wait(0.5)
    visitor.move(other_step(step))
    for _ in range(STEPS):
        visitor.obey()
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.PASSED


@given(SEEDS, st.floats(0.0, REACTION_S - 0.02))
@settings(max_examples=8, deadline=None)
def test_who_moves_before_anybody_could_have_read_it_is_too_early(
    seed: int, after_s: float
) -> None:
    visitor = Visitor(seed, fps=100.0)
    step = visitor.wait_for_step()
    assert step is not None
    visitor.wait(after_s)
    visitor.move(step, takes_s=0.01)
    assert visitor.challenge.failures == [End.EARLY]


def test_who_moves_before_the_screen_shows_it_is_too_early() -> None:
    visitor = Visitor()
    visitor.screen_works = False
    step = visitor.wait_for_step()
    assert step is not None
    visitor.wait(0.3)
    visitor.move(step)
    assert visitor.challenge.failures == [End.EARLY]


def test_without_a_screen_it_ends_in_a_refusal_that_says_so() -> None:
    visitor = Visitor()
    visitor.screen_works = False
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.challenge.answer is not None
    assert visitor.challenge.answer.reason == "challenge_not_shown"
    assert visitor.now_s < 110


def test_only_the_answer_to_the_step_that_is_asked_counts() -> None:
    visitor = Visitor()
    visitor.screen_works = False
    assert visitor.challenge.prompt is None
    visitor.frame()
    assert visitor.challenge.prompt is not None
    old = visitor.challenge.prompt.challenge_id
    visitor.wait_for_step()
    for wrong in (old, "guessed", ""):
        visitor.challenge.shown(wrong, visitor.now_s)
    visitor.wait(2.1)
    assert visitor.end is End.NOT_SHOWN


def test_who_ignores_it_twice_has_ignored_it() -> None:
    visitor = Visitor()
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.challenge.answer is not None
    assert visitor.challenge.answer.reason == "challenge_ignored"
    assert visitor.now_s < 120


def test_who_did_something_else_first_has_not_ignored_it() -> None:
    visitor = Visitor()
    step = visitor.wait_for_step()
    visitor.wait(0.5)
    visitor.move(other_step(step))
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.WRONG


def test_late_is_not_done() -> None:
    visitor = Visitor()
    visitor.obey(reaction_s=5.2)
    assert visitor.challenge.failures == [End.IGNORED]


def turns(visitor: Visitor) -> Step:
    """Wait for the first step of somebody whose seed makes it a turn of the head."""
    step = visitor.wait_for_step()
    assert step in TURNS
    visitor.wait(0.4)
    return step


TURNED_FIRST = next(seed for seed in range(99) if Visitor(seed).wait_for_step() in TURNS)


@pytest.mark.parametrize("part", [0.0, 0.6, 1.0])
def test_a_face_that_is_found_again_at_once_and_recognised_goes_on(part: float) -> None:
    visitor = Visitor(TURNED_FIRST)
    step = turns(visitor)
    visitor.step = step
    for visitor.part in (0.3, part):
        visitor.frame(followed=visitor.part != part)
    assert visitor.challenge.failures == []
    visitor.move(step)
    for _ in range(STEPS - 1):
        visitor.obey()
    visitor.wait_until(lambda: visitor.end is not None)
    assert (visitor.end, visitor.challenge.failures) == (End.PASSED, [])


@pytest.mark.parametrize("part", [0.0, 0.6, 1.0])
def test_another_face_that_is_found_in_its_place_ends_the_attempt(part: float) -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step, visitor.part = turns(visitor), 0.3
    visitor.frame()
    visitor.part, visitor.is_same = part, False
    visitor.frame(followed=False)
    visitor.wait(GAP_S)
    # Nothing that it does in between counts, nor does it help if the first one comes back later.
    visitor.is_same = True
    visitor.frame()
    assert visitor.challenge.failures == [End.LOST]


def test_a_face_that_is_found_again_and_cannot_be_looked_at_ends_the_attempt() -> None:
    visitor = Visitor(TURNED_FIRST)
    step = turns(visitor)
    for part in (0.3, 0.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        visitor.now_s += 1 / visitor.fps
        yaw, pitch, _ = DONE[step]
        points = face(yaw * part, pitch * part)
        visitor.challenge.see(points, visitor.now_s, followed=part != 0.6)
    assert visitor.challenge.failures == [End.LOST]


@pytest.mark.parametrize("followed", [False, True])
def test_a_turned_picture_of_the_same_person_after_a_gap_is_no_turn(followed: bool) -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step, visitor.part = turns(visitor), 1.0
    visitor.now_s += GAP_S - 0.1
    visitor.frame(followed=followed)
    visitor.wait(0.5)
    visitor.step, visitor.part = Step.LOOK_STRAIGHT, 0.0
    visitor.wait(PAUSE_S[1] + 0.3)
    assert visitor.challenge.failures == [End.WRONG]


def test_a_head_that_turns_out_of_sight_after_a_step_may_come_back() -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step = turns(visitor)
    for visitor.part in (0.3, 0.6, 1.0):
        visitor.frame()
    assert visitor.asked is Step.LOOK_STRAIGHT
    visitor.step, visitor.part = Step.LOOK_STRAIGHT, 0.0
    visitor.now_s += 1.2
    visitor.frame(followed=False)
    for _ in range(STEPS - 1):
        visitor.obey()
    visitor.wait_until(lambda: visitor.end is not None)
    assert (visitor.end, visitor.challenge.failures) == (End.PASSED, [])


def test_who_comes_back_in_place_of_a_head_that_turned_out_of_sight_does_not_pass() -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step = turns(visitor)
    for visitor.part in (0.3, 0.6, 1.0):
        visitor.frame()
    visitor.step, visitor.part, visitor.is_same = Step.LOOK_STRAIGHT, 0.0, False
    visitor.now_s += 1.2
    visitor.frame(followed=False)
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.OTHER_FACE


def test_a_gap_in_the_film_is_a_face_that_was_lost() -> None:
    visitor = Visitor()
    visitor.wait_for_step()
    visitor.now_s += 0.5
    visitor.frame()
    assert visitor.challenge.failures == [End.LOST]


def test_time_that_runs_backwards_is_a_face_that_was_lost() -> None:
    visitor = Visitor()
    visitor.wait_for_step()
    visitor.now_s -= 5
    visitor.frame()
    assert visitor.challenge.failures == [End.LOST]


@pytest.mark.parametrize("number", range(STEPS + 1))
def test_another_face_at_any_rest_does_not_pass(number: int) -> None:
    visitor = Visitor()
    for _ in range(number):
        visitor.obey()
    visitor.is_same = False
    visitor.wait_until(lambda: visitor.end is not None)
    assert visitor.end is End.OTHER_FACE


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_another_head_that_turns_does_not_pass(seed: int) -> None:
    visitor = Visitor(seed)
    while visitor.end is None:
        step = visitor.wait_for_step()
        if step is None:
            break
        visitor.wait(0.4)
        visitor.is_same = False
        visitor.move(step, holds_s=5.0 if step in TURNS else 0.5)
        visitor.is_same = step in TURNS
        visitor.wait(0.3)
    assert visitor.end in (End.OTHER_FACE, End.LOST, End.WRONG)


def test_a_picture_that_is_swapped_for_a_turned_one_does_not_pass() -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step, visitor.part = turns(visitor), 1.0
    visitor.wait(1.0)
    assert visitor.asked is Step.LOOK_STRAIGHT
    visitor.step, visitor.part = Step.LOOK_STRAIGHT, 0.0
    visitor.wait(PAUSE_S[1] + 0.3)
    assert visitor.challenge.failures == [End.WRONG]


@given(SEEDS, st.floats(0.9, 0.97))
@settings(max_examples=8, deadline=None)
def test_pictures_that_are_swapped_at_every_step_do_not_pass(seed: int, nearly: float) -> None:
    visitor = Visitor(seed)
    while visitor.end is None and visitor.now_s < 200:
        step = visitor.wait_for_step()
        if step is not None:
            visitor.wait(0.4)
            # Not quite all of a step at first, as the aligner's noise has it.
            visitor.step = step
            for visitor.part in (nearly * (0.5 if step is Step.COME_CLOSER else 0.62), 1.0):
                visitor.frame()
            visitor.wait(0.5)
            visitor.step, visitor.part = Step.LOOK_STRAIGHT, 0.0
    assert visitor.end not in (None, End.PASSED)


def test_a_head_that_turned_between_two_frames_is_seen_on_its_way_back() -> None:
    visitor = Visitor(TURNED_FIRST)
    visitor.step, visitor.part = turns(visitor), 1.0
    visitor.wait(0.4)
    for visitor.part in (0.5, 0.3, 0.0):
        visitor.frame()
    for _ in range(STEPS - 1):
        visitor.obey()
    visitor.wait_until(lambda: visitor.end is not None)
    assert (visitor.end, visitor.challenge.failures) == (End.PASSED, [])


def test_who_also_comes_a_little_closer_is_seen_on_the_way_to_a_turn() -> None:
    visitor = Visitor(TURNED_FIRST)
    step = turns(visitor)
    yaw, pitch, _ = DONE[step]
    for part, grown in ((0.0, 1.17), (0.15, 1.17), (0.35, 1.18), (0.9, 1.19), (0.9, 1.19)):
        points = face(yaw * part, pitch * part, size=60 * grown)
        visitor.now_s += 1 / visitor.fps
        visitor.challenge.see(points, visitor.now_s, followed=True)
        visitor.challenge.looked(same=True)
    assert visitor.asked is Step.LOOK_STRAIGHT
    visitor.wait(PAUSE_S[1] + 0.3)
    assert visitor.challenge.failures == []


@given(SEEDS, st.floats(0.3, 1.5))
@settings(max_examples=8, deadline=None)
def test_a_flat_picture_never_passes_however_it_is_turned(seed: int, takes_s: float) -> None:
    visitor = Visitor(seed, flat=True)
    while visitor.end is None and visitor.now_s < 200:
        step = visitor.wait_for_step()
        if step is not None:
            visitor.wait(0.4)
            visitor.move(step, takes_s=takes_s)
    assert visitor.end not in (None, End.PASSED)


def test_it_ends_whatever_the_visitor_does() -> None:
    visitor = Visitor()
    random = seeded(1)
    while visitor.end is None and visitor.now_s < 200:
        visitor.step, visitor.part = random.choice(list(DONE)), random.random()
        visitor.frame()
    assert visitor.end is not None
    assert visitor.now_s <= 142


def test_points_that_are_no_numbers_pass_nothing() -> None:
    visitor = Visitor()
    visitor.wait_for_step()
    for _ in range(900):
        visitor.now_s += 1 / visitor.fps
        visitor.challenge.see(np.full((5, 2), np.nan), visitor.now_s, followed=True)
    assert visitor.end in (End.IGNORED, End.NOT_SHOWN)


@pytest.mark.parametrize("room", [True, False])
def test_every_order_of_steps_is_drawn_about_as_often_and_has_two_turns(room: bool) -> None:
    random = seeded(5)
    orders = [tuple(_drawn(random, room=room)) for _ in range(4800)]
    counts = {order: orders.count(order) for order in set(orders)}
    assert len(counts) == 24
    assert all(len(set(order) & set(TURNS)) >= 2 for order in counts)
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260


def _drawn(random: Random, *, room: bool) -> list[Step]:
    challenge = Challenge(VERDICT, random)
    challenge.see(face(), 1.0, followed=True, room=room)
    return challenge.order


@given(st.floats(-60, 60), st.floats(-50, 50), st.floats(-30, 30), st.floats(0.3, 3))
@settings(deadline=None)
def test_a_plane_has_no_parallax_however_it_is_held(
    yaw: float, pitch: float, roll: float, size: float
) -> None:
    seen = face(yaw, pitch, roll_deg=roll, size=60 * size, at=(50, 400), flat=True)
    assert np.abs(parallax(seen, face(flat=True))).max() < 1e-6


@pytest.mark.parametrize("step", ALL_STEPS)
def test_left_is_the_visitors_own_and_up_is_up(step: Step) -> None:
    yaw, pitch, size = DONE[step]
    made, part = movement(face(yaw, pitch, size=60 * size, roll_deg=8), face(), sizes(face()))
    assert made is step
    assert part > 1
    # A picture is not mirrored: who turns to their own left looks to the right in it.
    if step is Step.TURN_LEFT:
        assert face(yaw)[2, 0] > face()[2, 0]
    if step is Step.LOOK_UP:
        assert face(0, pitch)[2, 1] < face()[2, 1]


@pytest.mark.parametrize("step", TURNS)
def test_what_has_less_depth_than_a_head_does_no_turn_however_far_it_goes(step: Step) -> None:
    yaw, pitch, _ = DONE[step]
    rest = face(depth=0.15)
    for times in (0.5, 1.0, 1.5, 1.9):
        made, part = movement(face(times * yaw, times * pitch, depth=0.15), rest, sizes(rest))
        assert made is step
        assert part < 1


def test_who_does_not_come_back_to_quite_where_they_were_is_not_too_early() -> None:
    visitor = Visitor(next(s for s in range(99) if Visitor(s).obey() in TURNS))
    done = visitor.obey()
    assert done is not None
    # Still nearly half turned, and a little more while the next step is asked.
    visitor.step, visitor.part = done, 0.33
    visitor.wait_for_step()
    visitor.part = 0.41
    visitor.wait(0.4)
    assert visitor.challenge.failures == []


@pytest.mark.parametrize("up_deg", [-10, 10])
def test_a_chin_held_higher_or_lower_than_at_first_is_straight_again(up_deg: float) -> None:
    visitor = Visitor()
    visitor.obey()
    visitor.rests_up_deg = up_deg
    while visitor.end is None:
        visitor.obey()
    assert visitor.end is End.PASSED


@pytest.mark.parametrize("step", TURNS)
def test_a_head_that_stays_turned_is_not_straight_again(step: Step) -> None:
    visitor = Visitor()
    visitor.obey()
    visitor.step, visitor.part = step, 0.8
    visitor.wait_until(lambda: len(visitor.challenge.failures) == 1)
    assert visitor.challenge.failures == [End.IGNORED]


def test_looking_down_is_no_step() -> None:
    assert movement(face(0, -25), face(), sizes(face()))[0] is None


@pytest.mark.parametrize(
    "points",
    [np.full((5, 2), np.nan), np.zeros((5, 2)), np.linspace([0, 0], [9, 0], 5)],
    ids=["nan", "zero", "line"],
)
def test_points_that_make_no_face_say_nothing(points: np.ndarray) -> None:
    assert np.isnan(movement(points, face(), sizes(face()))[1])


class Door:
    """Two visitors before one screen."""

    def __init__(self, random: Random | None = None) -> None:
        self.now_s = 50.0
        self.challenges = Challenges(random or SystemRandom(), lambda: self.now_s)

    def see(self, challenge: Challenge, height: int = 480, x: float = 320.0) -> None:
        pixels = np.zeros((height, 640, 3), np.uint8)
        # The film's own time began at another moment than the clock.
        frame = Frame(pixels, self.now_s - 0.02, self.now_s - 20.02, 1, "cam")
        points = face(at=(x, height / 2))
        self.challenges.see(challenge, points, frame, followed=True)
        if challenge.wants_look:
            challenge.looked(same=True)


def test_the_screen_asks_one_visitor_at_a_time() -> None:
    door = Door()
    first, second = door.challenges.begin(VERDICT), door.challenges.begin(VERDICT)
    for _ in range(5):
        door.now_s += 0.1
        door.see(first)
        door.see(second)
    assert first.prompt is not None
    assert second.prompt is None
    door.now_s += LEFT_S + 0.1
    door.see(second)
    assert second.prompt is not None


def asked(challenge: Challenge) -> bool:
    """Whether the screen is to ask for a movement now."""
    return challenge.prompt is not None and challenge.prompt.step is not Step.LOOK_STRAIGHT


@pytest.mark.parametrize("seed", range(6))
def test_a_face_that_fills_much_of_the_picture_is_not_asked_to_come_closer(seed: int) -> None:
    fits = int(box_around(face()).height / MOST_OF_FRAME)
    orders = []
    for height in (fits - 1, fits + 1):
        door = Door(seeded(seed))
        challenge = door.challenges.begin(VERDICT)
        door.see(challenge, height)
        orders.append(challenge.order)
    assert [len(order) for order in orders] == [STEPS + 1, STEPS]
    assert Step.COME_CLOSER not in orders[0]


@pytest.mark.parametrize("seed", range(6))
def test_a_face_that_would_leave_the_picture_is_not_asked_to_come_closer(seed: int) -> None:
    side = box_around(face()).width
    at_edge = 320 + 320 / COMES_CLOSER - side / 2
    orders = []
    for x in (at_edge + 5, at_edge - 5):
        door = Door(seeded(seed))
        challenge = door.challenges.begin(VERDICT)
        door.see(challenge, x=x)
        orders.append(challenge.order)
    assert [len(order) for order in orders] == [STEPS + 1, STEPS]
    assert Step.COME_CLOSER not in orders[0]


def test_the_screens_answer_counts_on_the_films_own_time() -> None:
    door = Door()
    challenge = door.challenges.begin(VERDICT)
    while not asked(challenge):
        door.now_s += 0.1
        door.see(challenge)
    assert challenge.prompt is not None
    door.now_s += 0.3
    answered_s = door.now_s
    door.challenges.shown(challenge.prompt.challenge_id)
    door.now_s += 0.05
    door.see(challenge)
    assert challenge.shown_s == pytest.approx(answered_s - 20)


def test_a_screen_answers_by_a_command_that_only_a_kiosk_may_send() -> None:
    door = Door()
    challenge = door.challenges.begin(VERDICT)
    while not asked(challenge):
        door.now_s += 0.1
        door.see(challenge)
    assert challenge.prompt is not None
    verb = challenge_shown(door.challenges)
    assert verb.roles == {Role.KIOSK}
    sender = Sender("kiosk", Role.KIOSK)
    for wrong in ({}, {"challenge_id": ""}, {"challenge_id": "x", "more": 1}):
        with pytest.raises(CommandRefusedError):
            verb.run(wrong, sender)
    verb.run({"challenge_id": challenge.prompt.challenge_id}, sender)
    door.now_s += 0.1
    door.see(challenge)
    assert challenge.shown_s is not None
