"""Visits played by the door's own rule, for the benchmarks that count how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.visit.decide import Bar, Rule, judge
from oneglance.daemon.visit.evidence import LOOKS_PER_FRAME_NEEDED, Look, Summary, Visit
from oneglance.faces.gallery.fusing import fuse

FRAMES, PATIENCE_S, LIFETIME_S, FRAMES_PER_S = 3, 3.0, 5.0, 15
LOOKS = LOOKS_PER_FRAME_NEEDED * FRAMES
LOOKS_A_PICTURE = 2
_NOTHING = np.zeros(1, np.float32)

Scores = NDArray[np.float32]
Templates = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """How a visit's looks score with everybody enrolled: float32 (LOOKS, people).

    `looks` are each by itself, `sums` all up to each one, fused.
    """

    looks: Scores
    sums: Scores


def in_turn(pictures: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which picture each look of a visit shows (LOOKS,): each two in a row, over and over."""
    return np.resize(np.repeat(pictures, LOOKS_A_PICTURE), LOOKS)


def summed(looks: Templates) -> Templates:
    """The looks (LOOKS, d) of a visit up to each one, fused as the daemon does."""
    return np.stack([fuse(looks[: count + 1]) for count in range(len(looks))])


def shown(looks: Templates, compare: Callable[[Templates], Scores]) -> Shown:
    """A visit of these looks (LOOKS, d); `compare` gives scores (n, people) of templates (n, d)."""
    scores = compare(np.concatenate([looks, summed(looks)]))
    return Shown(scores[: len(looks)], scores[len(looks) :])


def play(visit: Shown, rule: Rule, bar: Bar) -> tuple[int | None, int]:
    """The column of whoever is accepted, and after how many looks."""
    best = np.argsort(visit.looks, axis=1)[:, -2:]
    best_sums = np.argsort(visit.sums, axis=1)[:, -2:]
    subject = Visit(rule.frames, LIFETIME_S, rule.patience_s, make_id=lambda: "visit")
    had = 0
    for frame in range(int(2 * rule.patience_s * FRAMES_PER_S) + 2):
        at_s = frame / FRAMES_PER_S
        subject.near(at_s)
        if subject.due(at_s):
            subject.add(Look(at_s, _NOTHING, _told(visit.looks[had], best[had])), same_face=True)
            moment = subject.moment(at_s)
            if moment is not None:
                told = _told(visit.sums[had], best_sums[had])
                subject.sum_up(Summary(at_s, moment, told))
            had += 1
        verdict = judge(subject, at_s, rule, bar)
        if verdict is not None:
            return (None if verdict.person_id is None else int(verdict.person_id)), had
    raise AssertionError("a visit without an end")


def _told(scores: Scores, people: NDArray[np.intp]) -> dict[str, float]:
    return {str(one): float(scores[one]) for one in people}
