"""Thousands of made-up visits by the real rule: how many strangers does it let in?

Strangers' scores are normal, so that the rate of each threshold is known exactly; the frames of a
visit are as alike as each test says.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.daemon.visit.decide import Bar, Rule, Verdict, judge
from oneglance.daemon.visit.evidence import LOOKS_PER_FRAME_NEEDED, Look, Visit
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.model.tail import FittedRate, ImpostorTail

# Scores of a standard normal distribution that are exceeded at these rates.
QUANTILES = {1e-2: 2.3263479, 1e-3: 3.0902323, 1e-4: 3.7190165, 1e-5: 4.2648908}
TAIL = ImpostorTail([FittedRate(rate, score, rate) for rate, score in QUANTILES.items()])
FAR = 1e-2
RULE = Rule(FAR, 3, 3.0, TAIL)
LOOKS = LOOKS_PER_FRAME_NEEDED * RULE.frames
FPS = 15.0
VISITS = 20_000
NOTHING = np.zeros(1, np.float32)


def play(scores: NDArray[np.float64], owners: NDArray[np.int64], bar: Bar) -> Verdict:
    """The end of a visit whose looks have these scores (looks, templates)."""
    visit = Visit(RULE.frames, 5.0, RULE.patience_s, make_id=lambda: "visit")
    looks = iter(scores)
    for frame in range(200):
        at_s = frame / FPS
        visit.near(at_s)
        if visit.due(at_s):
            row = next(looks)
            best = {f"person-{who}": float(row[owners == who].max()) for who in set(owners)}
            visit.add(Look(at_s, NOTHING, best), same_face=True)
        verdict = judge(visit, at_s, RULE, bar)
        if verdict is not None:
            return verdict
    raise AssertionError("a visit without an end")


def let_in(scores: NDArray[np.float64], owners: NDArray[np.int64]) -> int:
    """How many of the visits (visits, looks, templates) end accepted."""
    bar = RULE.bar(len(owners))
    hits = (scores >= bar.threshold).any(axis=2).sum(axis=1)
    # A visit in which hardly any look reaches the threshold cannot be accepted by this rule, and
    # is played only now and then, to see just that.
    accepted = 0
    for number, visit in enumerate(scores):
        if hits[number] > 0 or number % 200 == 0:
            accepted += play(visit, owners, bar).accepted
    return accepted


@pytest.mark.parametrize("alike", [0.0, 0.8, 0.98, 1.0])
@pytest.mark.parametrize(("people", "each"), [(1, 1), (5, 3)])
def test_strangers_are_let_in_less_often_than_the_target_however_alike_the_frames(
    alike: float, people: int, each: int
) -> None:
    rng = np.random.default_rng([int(100 * alike), people])
    owners = np.repeat(np.arange(people), each)
    lasting = rng.standard_normal((VISITS, 1, len(owners)))
    passing = rng.standard_normal((VISITS, LOOKS, len(owners)))
    scores = math.sqrt(alike) * lasting + math.sqrt(1 - alike) * passing
    accepted = let_in(scores, owners)
    assert wilson(accepted, VISITS)[1] <= FAR


def test_templates_of_one_person_that_match_together_are_no_way_in() -> None:
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(3), 4)
    of_person = rng.standard_normal((VISITS, 1, 3))[:, :, owners]
    own = rng.standard_normal((VISITS, LOOKS, len(owners)))
    accepted = let_in(math.sqrt(0.9) * of_person + math.sqrt(0.1) * own, owners)
    assert wilson(accepted, VISITS)[1] <= FAR


def test_even_the_worst_frames_that_chance_could_arrange_keep_the_target() -> None:
    """Each comparison matches at its rate, but the matches of a visit come just as needed."""
    rng = np.random.default_rng(2)
    owners = np.arange(4)
    scores = np.full((VISITS, LOOKS, len(owners)), -9.0)
    fmr = RULE.comparison_fmr(len(owners))
    fooled = np.flatnonzero(rng.random(VISITS) < len(owners) * LOOKS * fmr / RULE.frames)
    for visit in fooled:
        start = rng.integers(LOOKS)
        looks = (start + np.arange(RULE.frames)) % LOOKS
        scores[visit, looks, rng.integers(len(owners))] = 9.0
    matching = float((scores > 0).mean())
    assert matching == pytest.approx(fmr, rel=0.3)
    # Else strangers who are like nobody would not be looked at until the end.
    scores[:, ::3] = np.maximum(scores[:, ::3], RULE.bar(len(owners)).hopeless)
    accepted = let_in(scores, owners)
    low, high = wilson(accepted, VISITS)
    assert low <= FAR
    assert high >= 0.6 * FAR, "the worst case is milder than the bound says: it tests nothing"


@pytest.mark.parametrize("seen", [0.9, 0.7])
def test_enrolled_people_are_accepted_within_their_first_looks(seen: float) -> None:
    """`seen` is how often a genuine look reaches the threshold."""
    rng = np.random.default_rng(3)
    bar = RULE.bar(10)
    needed = []
    for _ in range(300):
        good = rng.random((LOOKS, 1)) < seen
        scores = np.where(good, bar.threshold + 1.0, bar.hopeless - 1.0)
        verdict = play(scores, np.zeros(1, np.int64), bar)
        needed.append(verdict.accepted)
    assert np.mean(needed) >= (0.99 if seen == 0.9 else 0.9)


def test_an_enrolled_person_is_hardly_ever_taken_for_another() -> None:
    rng = np.random.default_rng(4)
    owners = np.arange(8)
    bar = RULE.bar(len(owners))
    scores = rng.standard_normal((3000, LOOKS, len(owners)))
    scores[:, :, 0] = bar.threshold + rng.normal(0.5, 1.0, (3000, LOOKS))
    ends = [play(visit, owners, bar).person_id for visit in scores]
    others = sum(person not in (None, "person-0") for person in ends)
    assert wilson(others, len(ends))[1] <= FAR
    assert sum(person == "person-0" for person in ends) > 0.9 * len(ends)


def test_a_claim_needs_a_lower_score_than_a_search_and_keeps_the_same_target() -> None:
    rng = np.random.default_rng(5)
    assert RULE.bar(2).threshold < RULE.bar(15).threshold
    lasting = rng.standard_normal((VISITS, 1, 2))
    passing = rng.standard_normal((VISITS, LOOKS, 2))
    accepted = let_in(0.8 * lasting + 0.6 * passing, np.zeros(2, np.int64))
    assert wilson(accepted, VISITS)[1] <= FAR
