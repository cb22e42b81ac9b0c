"""From an accepted verdict to one about a living face."""

from __future__ import annotations

import pytest

from oneglance.contract.messages import Liveness
from oneglance.daemon.visit.alive import confirm, lasting
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.liveness import fusion

ACCEPTED = Verdict("visit", "ada", 9.0, 3.0)


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


def test_most_looks_of_a_challenge_must_show_a_living_face() -> None:
    passed, failed, undecided = (
        fusion.Verdict.PASSED,
        fusion.Verdict.FAILED,
        fusion.Verdict.UNDECIDED,
    )
    assert lasting([passed, passed, failed]) is passed
    assert lasting([passed, undecided]) is failed
    assert lasting([passed, failed, undecided, passed]) is failed
    assert lasting([]) is failed
