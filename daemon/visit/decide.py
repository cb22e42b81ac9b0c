"""From evidence to a verdict: the one rule by which a visit is accepted or rejected. Pure.

Identification (1:N) over several frames of one track; verification (1:1) is the same rule with
a gallery of the one person who is claimed. The looks that count are fused into one template and
compared at three moments: after `frames` looks, after twice as many, and at the visit's end. It
accepts only when

- at one of these moments, `frames` looks or more that still count had one person at or above the
  threshold;
- the newest look is of this very moment, and by itself near enough to that person;
- no look has anybody else at or above the threshold.

It rejects at once when twice `frames` looks in a row come near nobody; else when the visit has had
all its looks, or `patience_s` has passed. Until then it goes on looking.

The threshold keeps the false accepts of a whole visit below `far` in a gallery of that many
templates: docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneglance.contract.messages import Factor, Liveness, Mode
from oneglance.daemon.visit.evidence import LOOKS_PER_FRAME_NEEDED, Look, Visit, passed
from oneglance.errors import GalleryError
from oneglance.faces.model.tail import Tail

# The score of a verdict for which nothing was compared: far below what any two faces get.
NOTHING_COMPARED = -1000.0
# The reason of a rejection when hardly any picture was good enough to be looked at.
POOR_QUALITY = "poor_quality"
# The other reasons: nobody is like this face, or more than one person is.
NOT_RECOGNISED = "not_recognised"
AMBIGUOUS = "ambiguous"
# How many comparisons the moments of a visit are worth: a stranger matches a person at any of the
# three at most so many times as often as at one of them. Fused looks at one face, the later ones of
# those of the earlier, are hardly worth more than one (measured, and derived: docs/decision.md,
# "The moments of a visit"); of looks that are not fused nothing is known but how many they are.
FUSED_WORTH, UNFUSED_WORTH = 1.5, 3.0
# Who stands there when the door opens must be who the looks were of. How often a stranger may be
# near enough for that: at most this much, or as often as what the looks come to matches; and always
# so seldom that all looks of a visit keep `far`.
NEAR_FMR = 1e-4
# This many looks in a row, per look that a decision needs, show that somebody is like nobody.
_HOPELESS_LOOKS_PER_FRAME_NEEDED = 2


class UnsupportedTargetError(GalleryError):
    """The gallery is too large for the false accept rate that is wanted, with this model."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Scores (the head's logits) that decide in one gallery.

    At or above `threshold` a person is named. A look at or above `near` may show the person who
    was named; looks that are all below `hopeless` show a stranger.
    """

    threshold: float
    near: float
    hopeless: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How much evidence a decision needs.

    `far` is the rate of strangers' visits that may end accepted; `frames` looks must agree;
    `patience_s` is how long a visitor is looked at; the moments of a visit are worth
    `moments_worth` comparisons.
    """

    far: float
    frames: int
    patience_s: float
    tail: Tail
    moments_worth: float = FUSED_WORTH

    def __post_init__(self) -> None:
        if self.frames < 3:
            raise ValueError(f"a decision needs at least 3 frames, not {self.frames}")
        if not 0 < self.far < 1:
            raise ValueError(f"a rate of false accepts of {self.far}")

    def comparison_fmr(self, templates: int) -> float:
        """The false match rate f of a comparison among `templates`.

        The moments of a visit compare a stranger with N others, and match any of them at a rate of
        at most `moments_worth` N f.
        """
        return self.far / (self.moments_worth * max(1, templates))

    @property
    def most_templates(self) -> int:
        """The largest gallery for which `bar` has an answer; 0 if there is none."""
        return int(self.comparison_fmr(1) / self.tail.strictest_fmr * (1 + 1e-9))

    def fits(self, templates: int, of_one: int = 1, *, claims: bool = False) -> str:
        """The meaning of `bar` in a gallery of `templates`, in words; raises as it does.

        Where every visitor `claims` to be somebody, a gallery may be too large to be searched: then
        a face is compared with the claimed person alone, or not at all. `of_one` is how many
        templates one person has at most.
        """
        if claims and templates > self.most_templates:
            one = self.fits(of_one)
            return f"too many to search, so faces are compared under a claim alone: {one}"
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
        fmr = self.comparison_fmr(templates)
        threshold = self.tail.threshold(fmr)
        of_each_look = self.far / (LOOKS_PER_FRAME_NEEDED * self.frames)
        near_fmr = min(of_each_look, max(fmr, NEAR_FMR))
        return Bar(
            threshold,
            near=self.tail.threshold(near_fmr),
            hopeless=min(threshold, self.tail.laxest.threshold),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one visit. `person_id` only when accepted, `reason` only when rejected.

    `score` is the logit of the fused looks where accepted, else the mean of the looks that were
    most like the person who leads in them; `threshold` is the score that had to be reached. `mode`
    says whether a person was claimed, `shown` what an accepted visitor has shown, `liveness` what
    was found about that.
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
        """Whether somebody is accepted, namely `person_id`."""
        return self.person_id is not None


def judge(visit: Visit, at_s: float, rule: Rule, bar: Bar) -> Verdict | None:
    """The verdict that `visit` has come to at `at_s` on its timeline; None to keep gathering.

    Changes nothing: whoever acts on the verdict marks the visit as decided.
    """
    if visit.decided:
        return None
    looks = visit.looks
    named = [
        (person, one) for one in visit.summaries for person in _reached(one.scores, bar.threshold)
    ]
    people = {person for person, _ in named}
    people.update(*(_reached(look.scores, bar.threshold) for look in looks))
    if named and len(people) == 1 and looks[-1].at_s == at_s:
        person, summary = named[-1]
        if still(looks[-1].scores, person, bar):
            return Verdict(visit.visit_id, person, summary.scores[person], bar.threshold)

    def rejected(reason: str) -> Verdict:
        score = leading_score(looks)
        score = NOTHING_COMPARED if score is None else score
        return Verdict(visit.visit_id, None, score, bar.threshold, reason)

    enough = len(looks) >= rule.frames
    # Who is asked to take something off gets the time to do it.
    hopeless = not visit.covered and _hopeless(looks, rule, bar)
    if enough and (visit.finished(at_s) or hopeless):
        return rejected(AMBIGUOUS if len(people) > 1 else NOT_RECOGNISED)
    # A face that never holds still, or differs in each look, gets its answer too, but only after
    # more patience: the looks may just be about to become usable.
    if visit.spent or passed(visit.near_since_s, at_s, 2 * rule.patience_s):
        return rejected(POOR_QUALITY)
    return None


def still(scores: Mapping[str, float], person: str, bar: Bar) -> bool:
    """Whether a look with these scores may show the `person` who was named, and nobody else."""
    near = scores.get(person, -math.inf) >= bar.near
    return near and _reached(scores, bar.threshold) <= {person}


def leading_score(looks: Sequence[Look]) -> float | None:
    """The mean score of the person who is the best in most looks, over just those; None if none."""
    totals: dict[str, list[float]] = {}
    for look in looks:
        if look.best is not None:
            totals.setdefault(look.best[0], []).append(look.best[1])
    scores = max(totals.values(), key=lambda scores: (len(scores), sum(scores)), default=None)
    return None if scores is None else sum(scores) / len(scores)


def _reached(scores: Mapping[str, float], threshold: float) -> set[str]:
    return {person for person, score in scores.items() if score >= threshold}


def _hopeless(looks: Sequence[Look], rule: Rule, bar: Bar) -> bool:
    needed = _HOPELESS_LOOKS_PER_FRAME_NEEDED * rule.frames
    if len(looks) < needed:
        return False
    best = [-math.inf if look.best is None else look.best[1] for look in looks[-needed:]]
    return all(score < bar.hopeless for score in best)
