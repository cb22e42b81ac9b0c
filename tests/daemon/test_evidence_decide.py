from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.daemon.visit.decide import (
    FUSED_WORTH,
    NOTHING_COMPARED,
    Bar,
    Rule,
    UnsupportedTargetError,
    Verdict,
    judge,
    leading_score,
    still,
)
from oneglance.daemon.visit.evidence import (
    LAST_MOMENT,
    LOOKS_PER_FRAME_NEEDED,
    Look,
    Summary,
    Visit,
)
from oneglance.faces.model.tail import FittedRate, ImpostorTail

TAIL = ImpostorTail([FittedRate(10.0**-n, 2.0 * n, 10.0**-n) for n in (2, 3, 4, 5)])
RULE = Rule(far=1e-3, frames=3, patience_s=3.0, tail=TAIL)
BAR = Bar(threshold=0.0, near=-0.5, hopeless=-3.0)
ALLOWED = LOOKS_PER_FRAME_NEEDED * RULE.frames
GOOD, BAD, UNLIKE = 2.0, -1.0, -5.0


def visit() -> Visit:
    numbers = itertools.count(1)
    return Visit(RULE.frames, 5.0, RULE.patience_s, make_id=lambda: f"visit-{next(numbers)}")


def look(at_s: float, **scores: float) -> Look:
    return Look(at_s, np.zeros(4, np.float32), scores)


def take(subject: Visit, at_s: float, *, same: bool = True, **scores: float) -> None:
    """A look, and what the looks come to where it is the moment: here the mean of their scores."""
    subject.add(look(at_s, **scores), same_face=same)
    moment = subject.moment(at_s)
    if moment is not None:
        people = subject.looks[-1].scores
        means = {p: float(np.mean([one.scores[p] for one in subject.looks])) for p in people}
        subject.sum_up(Summary(at_s, moment, means))


def watch(
    subject: Visit, looks: list[Mapping[str, float]], *, start_s: float = 0.0, swap: int = -1
) -> Verdict | None:
    """Ten frames a second, of which the visit takes what it wants; look `swap` is another face."""
    for i, scores in enumerate(looks):
        at_s = start_s + i / 10
        subject.near(at_s)
        if subject.decided or subject.due(at_s):
            take(subject, at_s, same=i != swap, **scores)
        verdict = judge(subject, at_s, RULE, BAR)
        if verdict is not None:
            subject.decided = True
            return verdict
    return None


def accepted(visit_id: str, person: str, score: float) -> Verdict:
    return Verdict(visit_id, person, pytest.approx(score), BAR.threshold)


def rejected(visit_id: str, score: float, reason: str) -> Verdict:
    return Verdict(visit_id, None, pytest.approx(score), BAR.threshold, reason)


def test_three_looks_at_the_same_person_accept() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": BAD}] * 3)
    assert verdict == accepted("visit-1", "ada", GOOD)
    assert verdict.accepted


def test_who_waits_to_be_seen_living_is_looked_at_three_times_a_second() -> None:
    subject = visit()
    taken = []
    for frame in range(60):
        at_s = frame / 20
        if subject.due(at_s):
            subject.add(look(at_s, ada=GOOD), same_face=True)
            subject.held_back = len(subject.looks) >= RULE.frames
            taken.append(at_s)
    assert taken[:3] == [0.0, 0.05, 0.1]
    assert np.diff(taken[2:]) == pytest.approx(0.3, abs=0.051)
    assert len(taken) >= ALLOWED - 2


def test_two_looks_never_accept() -> None:
    assert watch(visit(), [{"ada": 100.0}] * 2) is None


def test_a_stranger_is_rejected_once_patience_is_over_and_names_nobody() -> None:
    subject = visit()
    assert watch(subject, [{"ada": BAD, "bob": BAD - 1}] * 25) is None
    verdict = watch(subject, [{"ada": BAD, "bob": BAD - 1}] * 10, start_s=2.5)
    assert verdict == rejected("visit-1", BAD, "not_recognised")


def test_somebody_like_nobody_enrolled_is_rejected_soon() -> None:
    verdict = watch(visit(), [{"ada": UNLIKE}] * 6)
    assert verdict == rejected("visit-1", UNLIKE, "not_recognised")


def test_one_look_like_somebody_earns_a_visitor_all_patience() -> None:
    assert watch(visit(), [{"ada": UNLIKE}] * 2 + [{"ada": BAD}] + [{"ada": UNLIKE}] * 3) is None


def test_nobody_enrolled_never_accepts() -> None:
    verdict = watch(visit(), [{}] * 40)
    assert verdict == rejected("visit-1", NOTHING_COMPARED, "not_recognised")


def test_two_people_above_the_threshold_are_ambiguous() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": GOOD / 2}] * 40)
    assert verdict is not None
    assert (verdict.person_id, verdict.reason) == (None, "ambiguous")


def test_looks_that_name_different_people_are_ambiguous() -> None:
    verdict = watch(visit(), [{"ada": GOOD, "bob": BAD}, {"ada": BAD, "bob": GOOD}] * 20)
    assert verdict is not None
    assert (verdict.person_id, verdict.reason) == (None, "ambiguous")


def test_one_look_that_somebody_else_reaches_is_enough_to_be_ambiguous() -> None:
    """Even if that look alone does, and what all come to names one person."""
    verdict = watch(visit(), [{"ada": GOOD, "bob": 0.0}] + [{"ada": GOOD, "bob": UNLIKE}] * 40)
    assert verdict == rejected("visit-1", GOOD, "ambiguous")


def test_one_bad_look_costs_time_but_not_the_visit() -> None:
    looks = [{"ada": GOOD}, {"ada": UNLIKE}] + [{"ada": GOOD}] * 4
    assert watch(visit(), looks[:5]) is None
    assert watch(visit(), looks) == accepted("visit-1", "ada", 5 / 6)


def test_what_the_looks_come_to_decides_even_if_no_look_reaches_the_threshold() -> None:
    """A fused template scores higher than the noisy ones it was made of."""
    subject = visit()
    for i in range(3):
        subject.add(look(i / 10, ada=-0.3), same_face=True)
    subject.sum_up(Summary(0.2, 0, {"ada": 1.0}))
    assert judge(subject, 0.2, RULE, BAR) == accepted("visit-1", "ada", 1.0)


def test_looks_that_each_reach_the_threshold_do_not_decide_by_themselves() -> None:
    subject = visit()
    for i in range(5):
        subject.add(look(i / 10, ada=GOOD), same_face=True)
        assert judge(subject, i / 10, RULE, BAR) is None


def test_a_visit_comes_to_three_moments_and_the_last_may_still_accept() -> None:
    subject = visit()
    came = []
    for i in range(60):
        at_s = i / 10
        if subject.due(at_s):
            subject.add(look(at_s, ada=-0.2), same_face=True)
            moment = subject.moment(at_s)
            if moment is not None:
                came.append((len(subject.looks), moment))
                score = BAR.threshold if moment == LAST_MOMENT else -0.2
                subject.sum_up(Summary(at_s, moment, {"ada": score}))
        verdict = judge(subject, at_s, RULE, BAR)
        if verdict is not None:
            break
    assert came == [(3, 0), (6, 1), (ALLOWED - 1, LAST_MOMENT)]
    assert verdict == accepted("visit-1", "ada", BAR.threshold)


def test_the_last_look_may_come_a_little_late_and_is_taken_at_once() -> None:
    subject = visit()
    for i in range(4):
        take(subject, i / 10, ada=BAD)
    assert judge(subject, RULE.patience_s + 0.1, RULE, BAR) is None
    take(subject, 0.4, ada=BAD)
    assert subject.due(RULE.patience_s + 0.2)
    take(subject, RULE.patience_s + 0.2, ada=8.0)
    verdict = judge(subject, RULE.patience_s + 0.2, RULE, BAR)
    assert verdict == accepted("visit-1", "ada", 0.5)
    late = visit()
    for i in range(4):
        take(late, i / 10, ada=BAD)
    verdict = judge(late, RULE.patience_s + 1.0, RULE, BAR)
    assert verdict == rejected("visit-1", BAD, "not_recognised")


def test_evidence_is_not_accepted_on_a_look_that_is_not_near_the_person() -> None:
    subject = visit()
    for i in range(2):
        take(subject, i / 10, ada=GOOD)
    take(subject, 0.2, ada=BAD)
    assert subject.summaries[0].scores["ada"] >= BAR.threshold
    assert judge(subject, 0.2, RULE, BAR) is None
    take(subject, 0.3, ada=BAR.near)
    verdict = judge(subject, 0.3, RULE, BAR)
    assert verdict == accepted("visit-1", "ada", 1.0)


def test_what_looks_came_to_stops_counting_with_their_age_and_the_moment_stays_past() -> None:
    subject = visit()
    for i in range(3):
        take(subject, i / 10, ada=GOOD)
    subject.near(5.25)
    assert subject.looks == ()
    assert subject.summaries == ()
    for i in range(3):
        take(subject, 5.3 + i / 10, ada=GOOD)
    assert [one.moment for one in subject.summaries] == [LAST_MOMENT]


def test_a_swap_of_faces_inside_one_track_inherits_no_evidence() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 4, swap=2) is None
    assert len(subject.looks) == 2
    again = visit()
    for i in range(3):
        take(again, i / 10, ada=GOOD)
    take(again, 0.3, same=False, ada=GOOD)
    assert again.summaries == ()
    assert judge(again, 0.3, RULE, BAR) is None


def test_a_face_that_changes_all_the_time_gets_no_further_looks_by_it() -> None:
    subject = visit()
    for i in range(3 * ALLOWED):
        subject.add(look(i / 10, ada=GOOD), same_face=i % 3 != 0)
        if subject.spent:
            break
    assert i + 1 == ALLOWED
    assert not subject.due(1e6)
    subject.add(look(100.0, ada=GOOD), same_face=True)
    assert all(one.at_s < 100.0 for one in subject.looks)


def test_a_visit_that_has_had_all_its_looks_is_over() -> None:
    subject = visit()
    for i in range(ALLOWED):
        assert judge(subject, i / 10, RULE, BAR) is None
        take(subject, i / 10, ada=BAD)
    verdict = judge(subject, ALLOWED / 10, RULE, BAR)
    assert verdict == rejected("visit-1", BAD, "not_recognised")


def test_the_first_looks_follow_at_once_and_the_others_are_spread_over_the_patience() -> None:
    subject = visit()
    taken = []
    for i in range(300):
        at_s = i / 60
        if subject.due(at_s):
            subject.add(look(at_s, ada=BAD), same_face=True)
            taken.append(at_s)
    assert len(taken) == ALLOWED
    assert taken[5] == pytest.approx(5 / 60)
    assert np.diff(taken[5:-1]).min() >= RULE.patience_s / 6 - 1 / 60
    # The last is taken when patience is over, whenever the one before came.
    assert taken[-1] == pytest.approx(RULE.patience_s, abs=2 / 60)


def test_a_timeline_that_steps_back_does_not_stop_the_looks() -> None:
    subject = visit()
    for i in range(7):
        subject.add(look(100 + i / 10, ada=BAD), same_face=True)
    assert not subject.due(100.65)
    assert subject.due(5.0)


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
        subject.near(at_s)
        take(subject, at_s, ada=GOOD)
    assert judge(subject, 0.3, RULE, BAR) is None
    assert judge(subject, 0.2, RULE, BAR) == accepted("visit-1", "ada", GOOD)


def test_a_near_face_that_never_becomes_usable_is_rejected_for_its_quality() -> None:
    subject = visit()
    subject.near(0.0)
    assert judge(subject, 5.9, RULE, BAR) is None
    assert judge(subject, 6.1, RULE, BAR) == rejected("visit-1", NOTHING_COMPARED, "poor_quality")


def test_patience_rests_while_a_face_is_not_near() -> None:
    subject = visit()
    subject.near(0.0)
    for at_s in range(1, 60):
        subject.away(float(at_s))
    subject.near(60.0)
    assert judge(subject, 64.9, RULE, BAR) is None
    assert judge(subject, 65.1, RULE, BAR) == rejected("visit-1", NOTHING_COMPARED, "poor_quality")


def test_who_was_rejected_unseen_is_a_new_visit_with_the_looks_that_were_left() -> None:
    subject = visit()
    for i in range(2):
        subject.add(look(i / 10, ada=BAD), same_face=True)
    subject.decide(unseen=True)
    assert subject.progress == 1.0
    subject.add(look(20.0, ada=GOOD), same_face=True)
    assert (subject.visit_id, subject.decided) == ("visit-2", False)
    looks = 3
    while not subject.spent:
        subject.add(look(20.0 + looks, ada=BAD), same_face=True)
        looks += 1
    assert looks == ALLOWED


def test_who_was_rejected_behind_a_mask_has_time_to_take_it_off_and_looks_that_were_saved() -> None:
    subject = visit()
    subject.covered = True
    verdict = watch(subject, [{"ada": UNLIKE}] * 40)
    assert verdict == rejected("visit-1", UNLIKE, "not_recognised")
    assert len(subject.looks) == 2 * RULE.frames
    assert not subject.over(2.9)
    subject.decide(behind_cover=True)
    subject.add(look(10.0, ada=UNLIKE), same_face=True)
    assert (subject.visit_id, subject.decided) == ("visit-1", True)
    subject.covered = False
    verdict = watch(subject, [{"ada": GOOD}] * 40, start_s=20.0)
    assert verdict == accepted("visit-2", "ada", GOOD)
    assert subject.spent


def test_who_was_recognised_behind_a_mask_is_not_let_in_again_for_taking_it_off() -> None:
    subject = visit()
    subject.covered = True
    assert watch(subject, [{"ada": GOOD}] * 3) == accepted("visit-1", "ada", GOOD)
    subject.decide()
    subject.covered = False
    for i in range(RULE.frames):
        subject.add(look(20.0 + i, ada=GOOD), same_face=True)
    assert (subject.visit_id, subject.decided) == ("visit-1", True)


def test_who_was_seen_often_enough_is_no_new_visit_for_it() -> None:
    subject = visit()
    for i in range(ALLOWED):
        subject.add(look(i / 10, ada=BAD), same_face=i % 2 == 0)
    subject.decide(unseen=True)
    subject.add(look(20.0, ada=GOOD), same_face=True)
    assert (subject.visit_id, subject.decided) == ("visit-1", True)


def test_a_decision_that_nobody_heard_of_is_come_to_again() -> None:
    subject = visit()
    assert watch(subject, [{"ada": GOOD}] * 3) is not None
    subject.reopen()
    assert subject.looks == ()
    assert watch(subject, [{"ada": GOOD}] * 3, start_s=2.0) == accepted("visit-1", "ada", GOOD)


def test_a_gallery_that_changes_gives_no_further_looks() -> None:
    subject = visit()
    for i in range(ALLOWED - 1):
        subject.add(look(i / 10, ada=BAD), same_face=True)
    subject.drop_evidence()
    subject.add(look(2.0, ada=BAD), same_face=True)
    assert subject.spent


def test_a_look_shows_who_was_named_if_it_is_near_them_and_nobody_else_reaches_the_bar() -> None:
    assert still({"ada": BAR.near, "bob": BAR.threshold - 0.1}, "ada", BAR)
    assert not still({"ada": BAR.near - 0.1}, "ada", BAR)
    assert not still({"ada": GOOD, "bob": BAR.threshold}, "ada", BAR)
    assert not still({}, "ada", BAR)


@pytest.mark.parametrize("what", ["face", "gallery"])
def test_evidence_that_is_thrown_away_gives_no_moment_back(what: str) -> None:
    subject, came = visit(), []
    for i in range(ALLOWED):
        if i % 3 == 0 and what == "gallery":
            subject.drop_evidence()
        subject.add(look(i / 10, ada=GOOD), same_face=i % 3 != 0 or what != "face")
        moment = subject.moment(i / 10)
        if moment is not None:
            came.append(moment)
            subject.sum_up(Summary(i / 10, moment, {}))
    assert came == [0, LAST_MOMENT]


def test_scores_that_are_no_numbers_name_nobody() -> None:
    assert watch(visit(), [{"ada": float("nan")}] * 6) is None


def test_the_leader_is_the_best_in_most_looks() -> None:
    looks = [look(0, ada=1.0, bob=0.0), look(1, ada=-9.0, bob=5.0), look(2, ada=2.0, bob=1.0)]
    assert leading_score(looks) == pytest.approx(1.5)
    assert leading_score([]) is None


def test_fewer_than_three_frames_are_no_rule() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Rule(1e-3, 2, 3.0, TAIL)


@pytest.mark.parametrize("far", [0.0, 1.0, -1e-3, float("nan")])
def test_a_rate_that_is_none_is_no_rule(far: float) -> None:
    with pytest.raises(ValueError, match="false accepts"):
        Rule(far, 3, 3.0, TAIL)


def test_twice_as_many_templates_halve_the_rate_of_a_comparison() -> None:
    assert RULE.comparison_fmr(1) == pytest.approx(1e-3 / FUSED_WORTH)
    assert RULE.comparison_fmr(50) == pytest.approx(1e-3 / FUSED_WORTH / 50)
    assert RULE.bar(50).threshold > RULE.bar(25).threshold > RULE.bar(1).threshold


def test_more_templates_than_the_model_can_tell_apart_are_refused_with_the_most_it_can() -> None:
    assert RULE.most_templates == 666
    assert TAIL.strictest_fmr == pytest.approx(1e-6)
    assert RULE.bar(666).threshold == pytest.approx(TAIL.threshold(1e-6), abs=0.01)
    with pytest.raises(UnsupportedTargetError, match=r"667 templates are too many.*at most 666"):
        RULE.bar(667)


def test_an_empty_gallery_has_a_bar_too() -> None:
    assert RULE.bar(0) == RULE.bar(1)
    with pytest.raises(UnsupportedTargetError):
        Rule(1e-9, 3, 3.0, TAIL).bar(0)


scores = st.floats(-20, 20)
people = st.fixed_dictionaries({"ada": scores, "bob": scores, "eve": scores})


@settings(deadline=None)
@given(st.lists(st.tuples(people, st.booleans()), max_size=40))
def test_an_acceptance_always_stands_on_three_looks_at_one_face_that_name_one_person(
    looks: list[tuple[dict[str, float], bool]],
) -> None:
    subject = visit()
    since_swap: list[dict[str, float]] = []
    for i, (seen, same) in enumerate(looks):
        subject.near(i / 10)
        if subject.spent:
            return
        take(subject, i / 10, same=same, **seen)
        if not same:
            since_swap.clear()
        since_swap.append(seen)
        verdict = judge(subject, i / 10, RULE, BAR)
        if verdict is None or not verdict.accepted:
            continue
        who = verdict.person_id
        others = [score for s in since_swap for p, score in s.items() if p != who]
        assert len(since_swap) >= RULE.frames
        assert max(others) < BAR.threshold
        assert verdict.score >= verdict.threshold == BAR.threshold
        assert seen[who] >= BAR.near
        return


events = st.sampled_from(
    ["look", "look", "look", "other", "wait", "gallery", "unseen", "rejected", "cover", "bare"]
)


@settings(deadline=None)
@given(st.lists(events, max_size=60))
def test_no_visit_is_compared_at_more_than_three_moments_whatever_happens(
    happens: list[str],
) -> None:
    """Each is a try, and the rate of false accepts is kept for just these."""
    subject, at_s, came = visit(), 0.0, []
    for what in happens:
        at_s += 0.1
        subject.near(at_s)
        if what == "wait":
            at_s += 2.0
        elif what == "gallery":
            subject.drop_evidence()
        elif what == "unseen" and not subject.decided:
            subject.decide(unseen=True)
        elif what == "rejected" and not subject.decided:
            subject.decide(behind_cover=True)
        elif what in ("cover", "bare"):
            subject.covered = what == "cover"
        elif subject.decided or subject.due(at_s):
            subject.add(look(at_s, ada=GOOD), same_face=what == "look")
            moment = subject.moment(at_s)
            if moment is not None:
                came.append(moment)
                subject.sum_up(Summary(at_s, moment, {}))
            if subject.decided:
                # Three looks of another face make a new visit, with tries of its own.
                return
    assert came == sorted(set(came))
    assert len(came) <= LAST_MOMENT + 1


@settings(deadline=None)
@given(st.lists(people, min_size=60, max_size=80))
def test_every_visit_of_usable_looks_comes_to_exactly_one_decision(
    looks: list[dict[str, float]],
) -> None:
    subject = visit()
    first = watch(subject, looks)
    assert first is not None
    assert watch(subject, looks, start_s=10.0) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=14))
def test_too_few_pictures_excuse_nobody_who_could_be_judged_once(
    looks: list[tuple[bool, bool]],
) -> None:
    subject = Visit(3, 5.0, 3.0)
    for measured, scarce in looks:
        subject.watched(measured=measured, scarce=scarce)
    # Another face in the same visit begins nothing anew.
    subject.drop_evidence()
    assert not (subject.too_few_pictures and any(measured for measured, _ in looks))
    assert subject.too_few_pictures == (
        not any(measured for measured, _ in looks)
        and sum(scarce for _, scarce in looks) > len(looks) / 2
    )
    subject.renew()
    assert not subject.too_few_pictures
