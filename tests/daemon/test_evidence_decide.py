from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.daemon.decide import NOTHING_COMPARED, Rule, Verdict, judge
from oneglance.daemon.evidence import Look, Visit

RULE = Rule(threshold=0.0, frames=3, patience_s=3.0)
GOOD, BAD = 2.0, -5.0


def visit() -> Visit:
    numbers = itertools.count(1)
    return Visit(RULE.frames, 5.0, make_id=lambda: f"visit-{next(numbers)}")


def look(at_s: float, **scores: float) -> Look:
    return Look(at_s, np.zeros(4, np.float32), scores)


def watch(
    subject: Visit, looks: list[Mapping[str, float]], *, start_s: float = 0.0, swap: int = -1
) -> Verdict | None:
    """Ten looks a second; the look number `swap` does not resemble the one before."""
    for i, scores in enumerate(looks):
        at_s = start_s + i / 10
        subject.near(at_s)
        subject.add(look(at_s, **scores), same_face=i != swap)
        verdict = judge(subject, at_s, RULE)
        if verdict is not None:
            subject.decided = True
            return verdict
    return None


def test_three_looks_at_the_same_person_accept() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": BAD}] * 3)
    assert verdict == Verdict("visit-1", "ada", GOOD)
    assert verdict.accepted


def test_two_looks_never_accept() -> None:
    assert watch(visit(), [{"ada": 100.0}] * 2) is None


def test_a_stranger_is_rejected_once_patience_is_over_and_names_nobody() -> None:
    verdict = watch(visit(), [{"ada": BAD, "bob": BAD - 1}] * 40)
    assert verdict == Verdict("visit-1", None, BAD, "not_recognised")


def test_nobody_enrolled_never_accepts() -> None:
    verdict = watch(visit(), [{}] * 40)
    assert verdict == Verdict("visit-1", None, NOTHING_COMPARED, "not_recognised")


def test_two_people_above_the_threshold_are_ambiguous() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": GOOD / 2}] * 40)
    assert verdict is not None
    assert (verdict.person_id, verdict.reason) == (None, "ambiguous")


def test_looks_that_name_different_people_are_ambiguous() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": BAD}, {"ada": BAD, "bob": GOOD}] * 20)
    assert verdict is not None
    assert (verdict.person_id, verdict.reason) == (None, "ambiguous")


def test_one_bad_look_costs_time_but_not_the_visit() -> None:
    looks = [{"ada": GOOD}, {"ada": -0.5}, {"ada": GOOD}, {"ada": GOOD}]
    assert watch(visit(), looks) == Verdict("visit-1", "ada", pytest.approx(5.5 / 4))


def test_good_looks_outweighed_by_bad_ones_do_not_accept() -> None:
    looks = [{"ada": BAD}, {"ada": 0.5}, {"ada": 0.5}, {"ada": 0.5}]
    assert watch(visit(), looks) is None


def test_evidence_is_not_accepted_on_a_look_that_shows_nobody() -> None:
    looks = [{"ada": BAD}, *[{"ada": 0.5}] * 5]
    subject = visit()
    assert watch(subject, looks) is None
    # The bad look drops out of the window, but the look that pushes it out names nobody.
    assert watch(subject, [{"ada": -0.1}], start_s=1.0) is None
    assert watch(subject, [{"ada": 0.5}], start_s=1.1) is not None


def test_a_swap_of_faces_inside_one_track_inherits_no_evidence() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 4, swap=2) is None
    assert len(subject.looks) == 2


def test_one_visit_has_at_most_one_decision() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 3) is not None
    assert watch(subject, [{"ada": GOOD}] * 60, start_s=1.0) is None


def test_another_face_in_the_same_track_after_the_decision_is_a_new_visit() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 3) is not None
    for i in range(3):
        subject.add(look(1 + i / 10, ada=BAD), same_face=False)
    assert (subject.visit_id, subject.decided) == ("visit-2", False)
    assert len(subject.looks) == 1


def test_a_face_that_turns_away_for_a_moment_after_the_decision_is_the_same_visit() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 3) is not None
    for i, same in enumerate([False, False, True, False, False, True]):
        subject.add(look(1 + i / 10, ada=GOOD), same_face=same)
    assert (subject.visit_id, subject.decided) == ("visit-1", True)


def test_evidence_older_than_a_decisions_lifetime_stops_counting() -> None:
    subject = visit()
    for at_s in (0.0, 0.1, 6.0):
        subject.near(at_s)
        subject.add(look(at_s, ada=GOOD), same_face=True)
    assert [one.at_s for one in subject.looks] == [6.0]


def test_old_looks_do_not_accept_at_a_moment_without_a_look() -> None:
    subject = visit()
    for at_s in (0.0, 0.1, 0.2):
        subject.add(look(at_s, ada=GOOD), same_face=True)
    assert judge(subject, 0.3, RULE) is None


def test_a_face_that_never_becomes_usable_is_rejected_for_its_quality() -> None:
    subject = visit()
    for i in range(60):
        subject.near(i / 10)
        assert judge(subject, i / 10, RULE) is None
    assert judge(subject, 6.0, RULE) == Verdict("visit-1", None, NOTHING_COMPARED, "poor_quality")


def test_a_face_far_away_is_no_visitor_and_gets_no_answer() -> None:
    assert judge(visit(), 1e6, RULE) is None


def test_a_decision_that_nobody_heard_of_can_be_made_again_from_new_looks() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 3) is not None
    subject.reopen()
    assert subject.looks == ()
    again = watch(subject, [{"ada": GOOD}] * 3, start_s=2.0)
    assert again == Verdict("visit-1", "ada", GOOD)


def test_a_person_deleted_between_looks_is_not_accepted() -> None:
    assert watch(visit(), [{"ada": GOOD}, {"ada": GOOD}, {"bob": BAD}, {"bob": BAD}]) is None


def test_fewer_than_three_frames_are_no_rule() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Rule(0.0, 2, 3.0)


scores = st.floats(-20, 20)
people = st.fixed_dictionaries({"ada": scores, "bob": scores, "eve": scores})


@settings(deadline=None)
@given(st.lists(st.tuples(people, st.booleans()), max_size=40))
def test_an_acceptance_always_stands_on_three_agreeing_looks_of_one_face(
    looks: list[tuple[dict[str, float], bool]],
) -> None:
    subject = visit()
    since_swap: list[dict[str, float]] = []
    for i, (seen, same) in enumerate(looks):
        subject.near(i / 10)
        subject.add(look(i / 10, **seen), same_face=same)
        if not same:
            since_swap.clear()
        since_swap.append(seen)
        verdict = judge(subject, i / 10, RULE)
        if verdict is None or not verdict.accepted:
            continue
        who = verdict.person_id
        agreeing = [
            s for s in since_swap if max(s, key=lambda p: s[p]) == who and s[who] >= RULE.threshold
        ]
        assert len(agreeing) >= RULE.frames
        assert verdict.score >= RULE.threshold
        assert max(seen, key=lambda p: seen[p]) == who
        return


@settings(deadline=None)
@given(st.lists(people, min_size=40, max_size=60))
def test_every_visit_of_usable_looks_comes_to_exactly_one_decision(
    looks: list[dict[str, float]],
) -> None:
    subject = visit()
    first = watch(subject, looks)
    assert first is not None
    assert watch(subject, looks, start_s=10.0) is None
