"""From evidence to a verdict: the one rule by which a visit is accepted or rejected. Pure.

Identification (1:N) over several frames of one track; verification (1:1) is the same rule with
a gallery of the one person who is claimed. It accepts only when, among the looks that count now,

- the newest is of this very moment;
- at least `frames` of them, the newest included, have one person at or above the threshold;
- none has anybody else there.

It rejects at once when the looks are as many as can count and none comes near anybody; else when
the visit has had all its looks, or `patience_s` has passed. Until then it gathers on.

The threshold keeps the false accepts of a whole visit below `far`, whatever its frames have to do
with each other, in a gallery of so many templates: docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from oneglance.contract.messages import Factor, Liveness, Mode
from oneglance.daemon.visit.evidence import (
    LOOKS_KEPT_PER_FRAME_NEEDED,
    LOOKS_PER_FRAME_NEEDED,
    Look,
    Visit,
)
from oneglance.errors import GalleryError
from oneglance.faces.model.tail import Tail

# The score of a verdict for which nothing was compared: far below what any two faces get.
NOTHING_COMPARED = -1000.0
# Why a visit was rejected of which hardly any picture was good enough to be looked at.
POOR_QUALITY = "poor_quality"
# Why others were: nobody is like this face, or more than one person is.
NOT_RECOGNISED = "not_recognised"
AMBIGUOUS = "ambiguous"


class UnsupportedTargetError(GalleryError):
    """The gallery is too large for the false accept rate that is wanted, with this model."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Scores (the head's logits) that decide in one gallery.

    At or above `threshold` a look names a person; looks that are all below `hopeless` show a
    stranger.
    """

    threshold: float
    hopeless: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How much evidence a decision needs.

    `far` is the rate of strangers' visits that may end accepted; `frames` looks must agree;
    `patience_s` is how long a visitor is looked at.
    """

    far: float
    frames: int
    patience_s: float
    tail: Tail

    def __post_init__(self) -> None:
        if self.frames < 3:
            raise ValueError(f"a decision needs at least 3 frames, not {self.frames}")
        if not 0 < self.far < 1:
            raise ValueError(f"a rate of false accepts of {self.far}")

    def comparison_fmr(self, templates: int) -> float:
        """The false match rate that one comparison may have in a gallery of `templates`.

        Of L looks at least k name a person whose n templates match falsely at a rate f: at most
        in L n f / k of the visits (Markov's inequality on their number; Rueger, 1978), and for
        all people together, N templates, in at most L N f / k.
        """
        return self.far / (LOOKS_PER_FRAME_NEEDED * max(1, templates))

    @property
    def most_templates(self) -> int:
        """The largest gallery for which `bar` has an answer; 0 if there is none."""
        return int(self.comparison_fmr(1) / self.tail.strictest_fmr * (1 + 1e-9))

    def fits(self, templates: int) -> str:
        """What `bar` means in a gallery of `templates`, in words; raises as it does."""
        threshold, fmr = self.bar(templates).threshold, self.comparison_fmr(templates)
        return (
            f"far {self.far:.0e} a visit in a gallery of {templates} templates is FMR {fmr:.1e}"
            f" a comparison: threshold {threshold:.2f}"
        )

    def bar(self, templates: int) -> Bar:
        """The scores that decide in a gallery of `templates` (1:1: of the claimed person alone).

        Raises UnsupportedTargetError if the model's thresholds cannot tell a score strict enough.
        """
        if max(1, templates) > self.most_templates:
            raise UnsupportedTargetError(
                f"{templates} templates are too many for far = {self.far:.0e} with this model:"
                f" it can be kept for at most {self.most_templates}",
                where="decision.far",
                fix="set a higher far, or enrol fewer people or pictures (docs/decision.md)",
            )
        threshold = self.tail.threshold(self.comparison_fmr(templates))
        return Bar(threshold, min(threshold, self.tail.laxest.threshold))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one visit. `person_id` only when accepted, `reason` only when rejected.

    `score` is the mean logit of the looks that were most like the person who leads in them;
    `threshold` is the score that each of them had to reach. `mode` says whether a person was
    claimed, `shown` what an accepted visitor has shown, `liveness` what was found about that.
    """

    visit_id: str
    person_id: str | None
    score: float
    threshold: float
    reason: str = ""
    liveness: Liveness = Liveness.NOT_REQUIRED
    mode: Mode = Mode.IDENTIFY
    shown: tuple[Factor, ...] = (Factor.FACE,)

    @property
    def accepted(self) -> bool:
        """Whether the person at the door is `person_id`."""
        return self.person_id is not None


def judge(visit: Visit, at_s: float, rule: Rule, bar: Bar) -> Verdict | None:
    """The verdict that `visit` has come to at `at_s` on its timeline; None to gather on.

    Changes nothing: whoever acts on the verdict marks the visit as decided.
    """
    if visit.decided:
        return None
    looks = visit.looks
    named = [_named(look, bar.threshold) for look in looks]
    people = set().union(*named)
    if len(people) == 1 and looks[-1].at_s == at_s and named[-1]:
        (person,) = people
        agreeing = [look for look, names in zip(looks, named, strict=True) if names]
        if len(agreeing) >= rule.frames:
            score = sum(look.scores[person] for look in agreeing) / len(agreeing)
            return Verdict(visit.visit_id, person, score, bar.threshold)

    def rejected(reason: str) -> Verdict:
        score = leading_score(looks)
        score = NOTHING_COMPARED if score is None else score
        return Verdict(visit.visit_id, None, score, bar.threshold, reason)

    enough = len(looks) >= rule.frames
    if enough and (is_over(visit, at_s, rule) or _hopeless(looks, rule, bar)):
        return rejected(AMBIGUOUS if len(people) > 1 else NOT_RECOGNISED)
    # A face that never holds still, or is another one in each look, gets its answer too, but only
    # after more patience: the looks may just be about to become usable.
    if visit.spent or _passed(visit.near_since_s, at_s, 2 * rule.patience_s):
        return rejected(POOR_QUALITY)
    return None


def is_over(visit: Visit, at_s: float, rule: Rule) -> bool:
    """Whether the visit has had all its looks, or its patience: what it shows now must do."""
    return visit.spent or _passed(visit.usable_since_s, at_s, rule.patience_s)


def leading_score(looks: Sequence[Look]) -> float | None:
    """The mean score of the person who is the best in most looks, over just those; None if none."""
    totals: dict[str, list[float]] = {}
    for look in looks:
        if look.best is not None:
            totals.setdefault(look.best[0], []).append(look.best[1])
    scores = max(totals.values(), key=lambda scores: (len(scores), sum(scores)), default=None)
    return None if scores is None else sum(scores) / len(scores)


def _named(look: Look, threshold: float) -> set[str]:
    return {person for person, score in look.scores.items() if score >= threshold}


def _hopeless(looks: Sequence[Look], rule: Rule, bar: Bar) -> bool:
    if len(looks) < LOOKS_KEPT_PER_FRAME_NEEDED * rule.frames:
        return False
    return all((-math.inf if look.best is None else look.best[1]) < bar.hopeless for look in looks)


def _passed(since_s: float | None, at_s: float, patience_s: float) -> bool:
    return since_s is not None and at_s - since_s >= patience_s
