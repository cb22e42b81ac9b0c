"""From an accepted verdict to one about a living face."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.contract.messages import Liveness
from oneglance.daemon.visit.alive import (
    CLEAR,
    LASTING,
    PASSING,
    confirm,
    confirm_in_doubt,
    is_clear,
    lasting,
)
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.liveness import fusion

ACCEPTED = Verdict("visit", "ada", 9.0, 3.0)
PASSED, FAILED = fusion.Verdict.PASSED, fusion.Verdict.FAILED


@pytest.mark.parametrize("over", [False, True])
def test_only_who_was_seen_to_live_is_accepted(over: bool) -> None:
    for found in fusion.Verdict:
        verdict = confirm(ACCEPTED, found, over=over)
        accepted = verdict is not None and verdict.accepted
        assert accepted == (found is fusion.Verdict.PASSED)
        if verdict is not None:
            assert (verdict.liveness is Liveness.PASSED) == accepted
            assert (verdict.reason == "presentation_attack") is not accepted


def test_who_cannot_be_judged_yet_gets_more_time_but_not_for_ever() -> None:
    assert confirm(ACCEPTED, fusion.Verdict.UNDECIDED, over=False) is None
    verdict = confirm(ACCEPTED, fusion.Verdict.UNDECIDED, over=True)
    assert verdict is not None
    assert (verdict.person_id, verdict.liveness) == (None, Liveness.FAILED)


def test_what_is_no_living_face_is_refused_at_once() -> None:
    verdict = confirm(ACCEPTED, fusion.Verdict.FAILED, over=False)
    assert verdict is not None
    assert verdict.person_id is None


def look(log_odds: float, verdict: fusion.Verdict = PASSED) -> fusion.Judgement:
    return fusion.Judgement(log_odds, verdict, {})


LOOKS = st.builds(look, st.floats(-8, 8) | st.just(LASTING), st.sampled_from(fusion.Verdict))


@given(LOOKS, st.booleans(), st.booleans())
def test_only_the_clear_are_accepted_before_it_is_late(
    found: fusion.Judgement, late: bool, passed: bool
) -> None:
    verdict = confirm_in_doubt(ACCEPTED, found, late=late, passed=passed)
    if is_clear(found):
        assert found.log_odds >= CLEAR
        assert verdict is not None
        assert verdict.accepted
    elif found.verdict is FAILED:
        assert verdict is not None
        assert not verdict.accepted
    elif late and passed:
        # What follows is a challenge.
        assert verdict is not None
        assert verdict.accepted
    else:
        assert verdict is None


def test_most_looks_of_a_challenge_must_clearly_show_a_living_face() -> None:
    clear, passing = look(LASTING), look(LASTING - 0.01)
    assert lasting([clear]) is PASSED
    assert lasting([clear, clear, passing]) is PASSED
    assert lasting([clear, passing]) is FAILED
    doubtful = look(LASTING, fusion.Verdict.UNDECIDED)
    assert lasting([clear] * 8 + [doubtful] * 3) is PASSED
    assert lasting([clear] * 7 + [doubtful] * 3) is FAILED
    # Passed, but by no more than a single look has to.
    barely = look(PASSING - 0.01)
    assert lasting([clear] * 7 + [barely] * 3) is FAILED
    assert lasting([clear] * 8 + [barely] * 3) is PASSED
    assert lasting([passing, passing, passing]) is FAILED
    assert lasting([clear, look(LASTING, fusion.Verdict.UNDECIDED)]) is FAILED
    assert lasting([look(math.nan)]) is FAILED
    assert lasting([]) is FAILED


# Neither clear nor passing: no look is worse for whoever has to last.
POOR_LOOKS = st.builds(
    look,
    st.floats(-8, LASTING, exclude_max=True),
    st.sampled_from([fusion.Verdict.UNDECIDED, FAILED]),
)


@given(st.lists(LOOKS, max_size=80), POOR_LOOKS, st.integers(0, 80))
def test_nobody_lasts_of_whom_most_looks_did_not_pass_nor_by_less_evidence(
    found: list[fusion.Judgement], weaker: fusion.Judgement, at: int
) -> None:
    came_to = lasting(found)
    assert came_to is FAILED or 2 * sum(one.passed for one in found) > len(found)
    assert lasting(found[::-1]) is came_to
    assert came_to is PASSED or lasting([*found[:at], weaker, *found[at + 1 :]]) is FAILED
    assert came_to is PASSED or lasting([*found, weaker]) is FAILED
