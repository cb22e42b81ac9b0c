from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oneglance.daemon.visit.attention import (
    DEADLINE_S,
    MAX_FACES_PER_STEP,
    RECHECK_S,
    WAIT_FOR_BETTER_S,
    Attention,
    Batch,
    worth,
)
from oneglance.faces.find.align import CHIP_POINTS

FRONTAL = CHIP_POINTS.astype(np.float64)
TURNED = FRONTAL + np.array([[0, 0], [0, 0], [9, 0], [4, 0], [4, 0]])


def test_a_sharp_frontal_face_is_worth_more_than_a_blurred_or_turned_one() -> None:
    assert worth(200.0, FRONTAL) > worth(50.0, FRONTAL) > worth(0.0, FRONTAL)
    assert worth(200.0, FRONTAL) > worth(200.0, TURNED) > 0
    assert worth(200.0, FRONTAL + np.array([[0, 0], [0, 0], [40, 0], [0, 0], [0, 0]])) == 0


def test_the_worth_does_not_depend_on_the_tilt_of_the_head() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert np.isclose(worth(100.0, TURNED @ turn.T), worth(100.0, TURNED))


def test_a_poor_picture_is_passed_over_until_a_good_one_comes() -> None:
    face = Attention()
    assert face.is_good(0.0, 10.0)
    face.looked(0.0, same=True)
    assert not face.is_good(0.1, 3.0)
    assert face.is_good(0.2, 9.0)


def test_poor_pictures_are_taken_when_nothing_better_comes() -> None:
    face = Attention()
    assert face.is_good(0.0, 10.0)
    face.looked(0.0, same=True)
    assert not face.is_good(1.0, 3.0)
    assert face.is_good(1.0 + WAIT_FOR_BETTER_S, 3.0)


def test_another_face_is_not_measured_by_the_best_of_the_one_before() -> None:
    face = Attention()
    assert face.is_good(0.0, 10.0)
    face.looked(0.0, same=False)
    assert face.is_good(0.1, 3.0)


def test_a_decided_face_is_rechecked_now_and_then_and_at_once_when_it_may_be_another() -> None:
    face = Attention()
    assert face.wants_recheck(0.0, sure=True)
    face.looked(0.0, same=True)
    assert not face.wants_recheck(0.9 * RECHECK_S, sure=True)
    assert face.wants_recheck(0.1, sure=False)
    assert face.wants_recheck(RECHECK_S, sure=True)
    face.looked(0.1, same=False)
    assert face.wants_recheck(0.11, sure=True)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 100)), min_size=1, max_size=40))
def test_no_face_waits_longer_than_the_limit_whatever_the_clock_does(
    steps: list[tuple[float, float]],
) -> None:
    face, at_s, waiting_since_s = Attention(), 0.0, None
    for step_s, value in steps:
        at_s += step_s
        if waiting_since_s is None or at_s < waiting_since_s:
            waiting_since_s = at_s
        if face.is_good(at_s, value):
            face.looked(at_s, same=True)
            waiting_since_s = None
        else:
            assert at_s - waiting_since_s < WAIT_FOR_BETTER_S


def test_a_fast_machine_encodes_all_faces_and_a_slow_one_as_many_as_fit_the_deadline() -> None:
    fast, slow = Batch(), Batch()
    for _ in range(50):
        fast.took(4, 4 * 0.003)
        slow.took(2, 2 * 0.025)
    assert fast.size == MAX_FACES_PER_STEP
    assert slow.size == int(DEADLINE_S / 0.025)


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(-1, 100)), max_size=30))
def test_a_batch_always_takes_somebody(calls: list[tuple[int, float]]) -> None:
    batch = Batch()
    for faces, seconds in calls:
        batch.took(faces, seconds)
        assert 1 <= batch.size <= MAX_FACES_PER_STEP
