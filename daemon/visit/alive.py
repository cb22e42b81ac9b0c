"""From "it is this person" to "and they live": what is asked of an accepted verdict. Pure.

Fail closed: nobody is accepted who was not seen to live, and whoever cannot be judged in the
patience of a visit is rejected as a presentation attack.
"""

from __future__ import annotations

from dataclasses import replace

from oneglance.contract.messages import PRESENTATION_ATTACK, Liveness
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.liveness import fusion


def confirm(verdict: Verdict, found: fusion.Verdict, *, over: bool) -> Verdict | None:
    """What an accepted verdict comes to with what was `found`; None to gather on.

    `over` says that the visit gets no more time to be judged in.
    """
    match found:
        case fusion.Verdict.PASSED:
            return replace(verdict, liveness=Liveness.PASSED)
        case fusion.Verdict.UNDECIDED if not over:
            return None
        case _:
            return refused(verdict)


def refused(verdict: Verdict) -> Verdict:
    """The same visit, rejected as a presentation attack."""
    return replace(verdict, person_id=None, reason=PRESENTATION_ATTACK, liveness=Liveness.FAILED)
