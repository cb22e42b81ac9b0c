"""Thousands of made-up visits by the real rule: how many strangers does it let in?

Faces are random templates of length 1, the looks of a visit lie around one of them as closely as
each test says, and are fused and scored as the door does it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.daemon.visit.decide import FUSED_WORTH, Bar, Rule, Verdict, judge
from oneglance.daemon.visit.evidence import LOOKS_PER_FRAME_NEEDED, Look, Summary, Visit
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.gallery.fusing import fuse
from oneglance.faces.model.tail import FittedRate, ImpostorTail

Templates = NDArray[np.float32]
Scores = NDArray[np.float64]

# As many directions as faces differ in, roughly: with more, fused looks match less often still.
SIZE = 32


def faces(shape: tuple[int, ...], rng: np.random.Generator) -> Templates:
    """Random templates of length 1."""
    drawn = rng.standard_normal((*shape, SIZE))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True), np.float32)


def compared(probes: Templates, templates: Templates) -> Scores:
    """Scores of a Siamese head that weights all components alike; shapes broadcast."""
    return np.asarray(-20.0 * np.abs(probes - templates).mean(axis=-1), np.float64)


# Scores that single looks reach at these rates: of 144 million pairs, 12,000 templates twice.
QUANTILES = {1e-2: -3.037, 1e-3: -2.715, 1e-4: -2.456, 1e-5: -2.235}
TAIL = ImpostorTail([FittedRate(rate, score, rate) for rate, score in QUANTILES.items()])
FAR = 1e-2
RULE = Rule(FAR, 3, 3.0, TAIL)
LOOKS = LOOKS_PER_FRAME_NEEDED * RULE.frames
# After how many looks there are moments in a visit of all its looks.
MOMENTS = (3, 6, LOOKS - 1)
FPS = 15.0
VISITS = 10_000
NOTHING = np.zeros(1, np.float32)


def visits(
    alike: float, rng: np.random.Generator, count: int = VISITS, many: int = LOOKS
) -> Templates:
    """The looks (count, many, SIZE) of strangers; `alike` is the cosine between two looks."""
    apart = faces((count, many), rng)
    looks = math.sqrt(alike) * faces((count, 1), rng) + math.sqrt(1 - alike) * apart
    return np.asarray(looks / np.linalg.norm(looks, axis=-1, keepdims=True), np.float32)


def summed(looks: Templates, rows: Templates) -> Scores:
    """Scores (visits, LOOKS, rows) of what looks come to after each; -inf where no moment is."""
    sums = np.full((*looks.shape[:2], len(rows)), -np.inf)
    for count in MOMENTS:
        fused = np.stack([fuse(visit[:count]) for visit in looks])
        sums[:, count - 1] = compared(fused[:, np.newaxis], rows)
    return sums


def play(scores: Scores, sums: Scores, bar: Bar) -> Verdict:
    """The end of a visit whose looks score so (LOOKS, people), and come to `sums`."""

    def told(row: Scores) -> dict[str, float]:
        return {f"person-{who}": float(score) for who, score in enumerate(row)}

    visit = Visit(RULE.frames, 5.0, RULE.patience_s, make_id=lambda: "visit")
    had = 0
    for frame in range(200):
        at_s = frame / FPS
        visit.near(at_s)
        if visit.due(at_s):
            visit.add(Look(at_s, NOTHING, told(scores[had])), same_face=True)
            moment = visit.moment(at_s)
            if moment is not None:
                assert had + 1 in MOMENTS
                visit.sum_up(Summary(at_s, moment, told(sums[had])))
            had += 1
        verdict = judge(visit, at_s, RULE, bar)
        if verdict is not None:
            return verdict
    raise AssertionError("a visit without an end")


def let_in(scores: Scores, sums: Scores) -> int:
    """How many of the visits (visits, LOOKS, people) end accepted."""
    bar = RULE.bar(scores.shape[-1])
    hits = (sums >= bar.threshold).any(axis=(1, 2))
    # A visit whose looks never come to the threshold cannot be accepted by this rule, and is
    # played only now and then, to see just that.
    return sum(
        play(visit, sums[number], bar).accepted
        for number, visit in enumerate(scores)
        if hits[number] or number % 200 == 0
    )


def test_single_looks_match_at_the_rates_that_the_thresholds_say() -> None:
    rng = np.random.default_rng(2015)
    scores = compared(faces((1000, 1), rng), faces((2000,), rng))
    for rate in (1e-2, 1e-3):
        assert (scores >= TAIL.threshold(rate)).mean() == pytest.approx(rate, rel=0.15)


@pytest.mark.parametrize("alike", [0.0, 0.9, 0.96, 1.0])
@pytest.mark.parametrize("people", [1, 5])
def test_strangers_are_let_in_less_often_than_the_target_however_alike_the_frames(
    alike: float, people: int
) -> None:
    rng = np.random.default_rng([int(100 * alike), people])
    looks, rows = visits(alike, rng), faces((people,), rng)
    accepted = let_in(compared(looks[:, :, np.newaxis], rows), summed(looks, rows))
    assert wilson(accepted, VISITS)[1] <= FAR
    # Of one person the newest look must be near at a rate of far / LOOKS, which lets in so few.
    least = 0.3 if people > 1 else 0.5 / LOOKS
    assert alike < 0.9 or accepted > least * FAR * VISITS, "hardly anybody tried: it tests nothing"


@pytest.mark.parametrize("alike", [0.6, 0.9, 0.96, 0.99])
def test_the_moments_of_a_visit_are_worth_no_more_comparisons_than_the_rule_says(
    alike: float,
) -> None:
    """At a hundredth of the target's rate, where a stranger's tries are at their rarest."""
    rng = np.random.default_rng([7, int(100 * alike)])
    rows, rate = faces((500,), rng), 1e-4
    sums = summed(visits(alike, rng, 3000), rows)
    matches = int((sums.max(axis=1) >= TAIL.threshold(rate)).sum())
    assert wilson(matches, sums[:, 0].size)[1] <= FUSED_WORTH * rate


@pytest.mark.parametrize("alike", [0.9, 0.96])
def test_the_moments_of_a_visit_of_more_looks_are_worth_no_more(alike: float) -> None:
    """With ten frames in place of three."""
    rng = np.random.default_rng([8, int(100 * alike)])
    rows, rate = faces((500,), rng), 1e-4
    looks = visits(alike, rng, 3000, LOOKS_PER_FRAME_NEEDED * 10)
    sums = [
        compared(np.stack([fuse(visit[:count]) for visit in looks])[:, np.newaxis], rows)
        for count in (10, 20, LOOKS_PER_FRAME_NEEDED * 10 - 1)
    ]
    best = np.max(sums, axis=0)
    matches = int((best >= TAIL.threshold(rate)).sum())
    assert wilson(matches, best.size)[1] <= FUSED_WORTH * rate


def test_the_worst_moments_that_chance_could_arrange_let_in_twice_the_target_and_no_more() -> None:
    """Fused looks that match at their rate at each moment, and never at two in one visit.

    No looks at one face do that, but those before each moment may be of another face.
    """
    rng = np.random.default_rng(2)
    people = 4
    bar, fmr = RULE.bar(people), RULE.comparison_fmr(people)
    scores = np.full((VISITS, LOOKS, people), bar.hopeless)
    sums = np.full_like(scores, -np.inf)
    each = people * fmr
    for visit, kind in enumerate(rng.choice(4, VISITS, p=[each, each, each, 1 - 3 * each])):
        if kind < 3:
            look, who = MOMENTS[kind] - 1, rng.integers(people)
            sums[visit, look, who] = bar.threshold
            scores[visit, look, who] = bar.near
    low, high = wilson(let_in(scores, sums), VISITS)
    assert low <= 3 / FUSED_WORTH * FAR <= high


def test_enrolled_people_are_accepted_whose_looks_alone_hardly_reach_the_threshold() -> None:
    """Half of the looks reach it; what they have in common does."""
    rng = np.random.default_rng(3)
    bar = RULE.bar(10)
    looks = bar.threshold + rng.normal(0.0, 1.0, (300, LOOKS, 1))
    sums = np.cumsum(looks, axis=1) / np.arange(1, LOOKS + 1)[:, np.newaxis] + 0.5
    ends = [play(one, of, bar) for one, of in zip(looks, sums, strict=True)]
    assert np.mean([verdict.accepted for verdict in ends]) >= 0.95


@settings(deadline=None)
@given(st.sampled_from([1e-2, 1e-3, 1e-4]), st.integers(1, 7000))
def test_who_takes_the_place_of_somebody_recognised_gets_in_as_seldom_as_other_strangers(
    far: float, people: int
) -> None:
    """One look that is near will do, and all that a visit has may be theirs."""
    rule = Rule(far, 3, 3.0, TAIL)
    people = min(people, rule.most_templates)
    bar = rule.bar(people)
    assert bar.near >= TAIL.threshold(far / LOOKS)
    if bar.near < bar.threshold:
        assert bar.near >= TAIL.threshold(1e-4)


def test_an_enrolled_person_is_hardly_ever_taken_for_another() -> None:
    rng = np.random.default_rng(4)
    rows = faces((8,), rng)
    looks = visits(0.9, rng, 3000)
    scores, sums = compared(looks[:, :, np.newaxis], rows), summed(looks, rows)
    bar = RULE.bar(len(rows))
    scores[:, :, 0] = bar.threshold + rng.normal(0.5, 1.0, (3000, LOOKS))
    sums[:, :, 0] = scores[:, :, 0]
    ends = [play(visit, of, bar).person_id for visit, of in zip(scores, sums, strict=True)]
    others = sum(person not in (None, "person-0") for person in ends)
    assert wilson(others, len(ends))[1] <= FAR
    assert sum(person == "person-0" for person in ends) > 0.9 * len(ends)


def test_a_claim_needs_a_lower_score_than_a_search() -> None:
    assert RULE.bar(1).threshold < RULE.bar(2).threshold < RULE.bar(15).threshold
