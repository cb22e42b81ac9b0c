"""A badge or PIN claims a person; the next face must be that person's. Pure.

A claim is good for some seconds and for one verdict. A newer one takes the place of an older one.
Nothing here or after it differs between a claim of somebody else and a claim of nobody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from oneglance.contract.messages import Factor, Mode
from oneglance.daemon.visit.decide import NOTHING_COMPARED, Bar, Verdict
from oneglance.faces.gallery.credentials import Claimed


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is claimed, and by which factor."""

    claimed: Claimed
    factor: Factor

    @property
    def key(self) -> str:
        """Under which key its failures are counted."""
        return f"{self.factor.value}:{self.claimed.mark}"


def patient(bar: Bar) -> Bar:
    """The bar of a verification: a wrong face is answered when its time is over, never sooner.

    How soon would tell how alike the two are, and whether there is anybody to be alike.
    """
    return replace(bar, hopeless=-math.inf)


def verified(verdict: Verdict, claim: Claim, of_one: Bar) -> Verdict:
    """The verdict of a visit that was compared with the claimed person alone.

    A rejected one keeps its score to itself, and tells the threshold of one template, `of_one`:
    its own would say whether there is such a person, and with how many.
    """
    verdict = replace(verdict, mode=Mode.VERIFY, shown=(Factor.FACE, claim.factor))
    if verdict.accepted:
        return verdict
    return replace(verdict, score=NOTHING_COMPARED, threshold=of_one.threshold)
