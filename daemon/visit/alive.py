"""From "it is this person" to "and they are alive": what an accepted verdict still needs. Pure.

Fail closed: nobody is accepted who was not seen to live, and whoever cannot be judged in the
patience of a visit is rejected as a presentation attack; but where too few pictures came to judge
anybody by, that is the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneglance.contract.messages import PRESENTATION_ATTACK, TOO_FEW_PICTURES, Liveness
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.liveness import fusion

# The log odds that most looks of a whole challenge must reach. A single look passes with less: over
# that many there is more to go by. Chosen on rendered films (docs/liveness.md#judged-to-its-end).
LASTING = 2.4
# And more than this percentage of the looks must pass, by more than a single one has to.
PASSING_OF_100 = 70
PASSING = 1.45

# At or above these log odds nobody is asked to move where only those are of whom it is in doubt
# that they live. Chosen on rendered films (docs/liveness.md#only-in-doubt).
CLEAR = 2.0


def confirm(verdict: Verdict, found: fusion.Verdict, *, over: bool) -> Verdict | None:
    """What becomes of an accepted verdict with what was `found`; None to keep gathering.

    `over` says that the visit gets no more time to be judged in.
    """
    match found:
        case fusion.Verdict.PASSED:
            return replace(verdict, liveness=Liveness.PASSED)
        case fusion.Verdict.UNDECIDED if not over:
            return None
        case _:
            return refused(verdict)


def is_clear(found: fusion.Judgement) -> bool:
    """Whether a face was seen to live beyond doubt."""
    return found.passed and found.log_odds >= CLEAR


def confirm_in_doubt(
    verdict: Verdict, found: fusion.Judgement, *, late: bool, passed: bool
) -> Verdict | None:
    """As `confirm`, where who is still in doubt when it is `late` will be asked to move.

    Until then a visitor has time to be seen clearly. `passed` says that this face was seen to
    live at some moment, which is what everybody needs who is asked.
    """
    if is_clear(found) or found.verdict is fusion.Verdict.FAILED:
        return confirm(verdict, found.verdict, over=False)
    return confirm(verdict, fusion.Verdict.PASSED, over=False) if late and passed else None


def lasting(found: Sequence[fusion.Judgement]) -> fusion.Verdict:
    """The result of a whole challenge: passed if over 70 % of its looks came to `PASSING`, most of
    all its looks to `LASTING`.

    A head that turns shows more of its life than one that waits; a picture that passed once is
    watched for seconds more. Where nothing was judged, nobody was seen to live.
    """
    passed = [one for one in found if one.passed and one.log_odds >= PASSING]
    clear = sum(one.log_odds >= LASTING for one in passed)
    enough = 2 * clear > len(found) and 100 * len(passed) > PASSING_OF_100 * len(found)
    return fusion.Verdict.PASSED if enough else fusion.Verdict.FAILED


def refused(verdict: Verdict) -> Verdict:
    """The same visit, rejected as a presentation attack."""
    return replace(verdict, person_id=None, reason=PRESENTATION_ATTACK, liveness=Liveness.FAILED)


def unjudged(verdict: Verdict) -> Verdict:
    """The same visit, rejected since too few pictures came to see whether anybody lives."""
    return replace(verdict, person_id=None, reason=TOO_FEW_PICTURES, liveness=Liveness.FAILED)
