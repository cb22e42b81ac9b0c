"""From evidence to a verdict: the one rule by which a visit is accepted or rejected. Pure.

Identification (1:N) over several frames of one track. It accepts only when, among the looks that
count now,

- the newest is of this very moment;
- at least `frames` of them, the newest included, have the same best person at or above the
  threshold, and none has another person there;
- that person's mean score over all of them is at or above the threshold;
- the mean score of every other person is below it.

Anything else gathers on, and is rejected once `patience_s` has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oneglance.daemon.evidence import Look, Visit

# The score of a verdict for which nothing was compared: far below what any two faces get.
NOTHING_COMPARED = -1000.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How much evidence a decision needs; `threshold` is a score (the head's logit)."""

    threshold: float
    frames: int
    patience_s: float

    def __post_init__(self) -> None:
        if self.frames < 3:
            raise ValueError(f"a decision needs at least 3 frames, not {self.frames}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one visit. `person_id` only when accepted, `reason` only when rejected.

    `score` is the mean logit of the evidence for the best person.
    """

    visit_id: str
    person_id: str | None
    score: float
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the person at the door is `person_id`."""
        return self.person_id is not None


def judge(visit: Visit, at_s: float, rule: Rule) -> Verdict | None:
    """The verdict that `visit` has come to at `at_s` on its timeline; None to gather on.

    Changes nothing: whoever acts on the verdict marks the visit as decided.
    """
    if visit.decided:
        return None
    looks = visit.looks
    means = mean_scores(looks)
    best = max(means, key=lambda person: means[person], default=None)
    best_score = means[best] if best is not None else NOTHING_COMPARED
    above = [person for person, mean in means.items() if mean >= rule.threshold]
    named = [_named(look, rule.threshold) for look in looks]
    people = {person for person in named if person is not None}
    ambiguous = len(above) > 1 or len(people) > 1
    if (
        not ambiguous
        and best is not None
        and best_score >= rule.threshold
        and people == {best}
        and looks[-1].at_s == at_s
        and named[-1] == best
        and named.count(best) >= rule.frames
    ):
        return Verdict(visit.visit_id, best, best_score)
    if len(looks) >= rule.frames and _passed(visit.usable_since_s, at_s, rule.patience_s):
        reason = "ambiguous" if ambiguous else "not_recognised"
        return Verdict(visit.visit_id, None, best_score, reason)
    # A face that never holds still gets its answer too, but only after more patience: the looks
    # may just be about to become usable.
    if _passed(visit.near_since_s, at_s, 2 * rule.patience_s):
        return Verdict(visit.visit_id, None, best_score, "poor_quality")
    return None


def mean_scores(looks: Sequence[Look]) -> dict[str, float]:
    """Each person's mean score over all looks; {} without looks or people.

    A person missing from a look was not compared in it, and so cannot be judged at all.
    """
    people = set(looks[0].scores) if looks else set()
    for look in looks[1:]:
        people &= set(look.scores)
    return {
        person: sum(look.scores[person] for look in looks) / len(looks) for person in sorted(people)
    }


def _named(look: Look, threshold: float) -> str | None:
    if not look.scores:
        return None
    best = max(look.scores, key=lambda person: look.scores[person])
    return best if look.scores[best] >= threshold else None


def _passed(since_s: float | None, at_s: float, patience_s: float) -> bool:
    return since_s is not None and at_s - since_s >= patience_s
