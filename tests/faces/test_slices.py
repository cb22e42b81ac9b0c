"""Rates by slice, and intervals by drawing people anew."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.faces.evaluation import bootstrap, metrics
from oneglance.faces.evaluation.figures import Comparisons
from oneglance.faces.evaluation.paired import PairedPictures, every_pair, people_of_pairs
from oneglance.faces.evaluation.readings import Reading, picture_traits, slices_of
from oneglance.faces.evaluation.slices import (
    FACE_TRAITS,
    PICTURE_TRAITS,
    pair_slices,
    picture_slices,
)
from oneglance.faces.evaluation.thresholds import all_pairs

PEOPLE = st.lists(st.integers(1, 4), min_size=1, max_size=6).map(
    lambda sizes: [str(person) for person, size in enumerate(sizes) for _ in range(size)]
)


@given(PEOPLE)
def test_every_pair_stands_in_the_order_of_its_score(people: list[str]) -> None:
    paired = every_pair([f"{n}.jpg" for n in range(len(people))], people)
    numbers = np.arange(len(people), dtype=np.float32)[:, None]
    genuine, impostor = all_pairs(numbers, people, lambda a, b: a * 100 + b.T)
    assert (paired.genuine @ [100, 1]).tolist() == genuine.tolist()
    assert (paired.impostor @ [100, 1]).tolist() == impostor.tolist()
    assert [people[n] for n in paired.genuine[:, 0]] == [people[n] for n in paired.genuine[:, 1]]
    assert paired.person.tolist() == [int(person) for person in people]


def test_pictures_of_a_person_must_follow_each_other() -> None:
    with pytest.raises(ValueError, match="follow each other"):
        every_pair(["1", "2", "3"], ["a", "b", "a"])


def test_genuine_pairs_link_the_pictures_of_a_person() -> None:
    person = people_of_pairs(6, [(0, 3), (3, 5), (1, 2)])
    assert person[0] == person[3] == person[5]
    assert person[1] == person[2]
    assert len(set(person.tolist())) == 3


def two_people(values: dict[str, list[float]]) -> tuple[PairedPictures, dict[str, np.ndarray]]:
    """Pictures 0 and 1 of one person, 2 and 3 of another; traits not named are all the same."""
    paired = every_pair(list("abcd"), ["a", "a", "c", "c"])
    return paired, {t.name: np.array(values.get(t.name, [60.0] * 4)) for t in FACE_TRAITS}


def test_a_pair_lies_in_the_slice_of_its_worse_picture() -> None:
    values = {"tilt_deg": [1, 12, 3, 4.999], "eyes_px": [10, 100, 100, 100]}
    paired, traits = two_people(values)
    # Genuine (a, b) and (c, d); impostor (a, c), (a, d), (b, c), (b, d).
    genuine, impostor = np.array([0.0, 2.0]), np.array([-1.0, 3.0, -1.0, -1.0])
    slices = pair_slices(genuine, impostor, paired, traits, 1.0)
    upright, tilted = slices["tilt_deg"]
    assert (upright["from"], upright["below"]) == (None, 5)
    assert (tilted["from"], tilted["below"]) == (10, 20)
    assert (upright["genuine_pairs"], upright["fnmr"]) == (1, 0.0)
    assert (tilted["genuine_pairs"], tilted["fnmr"]) == (1, 1.0)
    assert (upright["impostor_pairs"], upright["fmr"]) == (2, 0.5)
    assert tilted["fnmr_95"] == metrics.wilson(1, 1)
    small, large = slices["eyes_px"]
    assert (small["below"], small["genuine_pairs"], small["impostor_pairs"]) == (20, 1, 2)
    assert (large["from"], large["below"]) == (100, None)
    json.dumps(slices, allow_nan=False)


@given(st.lists(st.floats(0, 300), min_size=4, max_size=4))
def test_every_pair_lies_in_one_slice_of_each_trait(values: list[float]) -> None:
    paired, traits = two_people({trait.name: values for trait in FACE_TRAITS})
    slices = pair_slices(np.zeros(2), np.zeros(4), paired, traits, 1.0)
    for rows in slices.values():
        assert sum(row["genuine_pairs"] for row in rows) == 2
        assert sum(row["impostor_pairs"] for row in rows) == 4
        for before, after in pairwise(rows):
            assert before["below"] <= after["from"]


def test_a_rate_without_a_pair_is_not_given() -> None:
    paired = PairedPictures(
        ("a", "b"), np.array([[0, 1]], np.int32), np.empty((0, 2), np.int32), np.zeros(2, np.int32)
    )
    traits = {trait.name: np.array([60.0, 60.0]) for trait in FACE_TRAITS}
    (row,) = pair_slices(np.array([2.0]), np.empty(0), paired, traits, 1.0)["eyes_px"]
    assert (row["fnmr"], row["fmr"], row["fmr_95"]) == (0.0, None, None)


def test_failures_to_acquire_are_told_by_picture() -> None:
    traits = {trait.name: np.array([20.0, 20.0, 200.0]) for trait in PICTURE_TRAITS}
    slices = picture_slices(traits, np.array([True, False, True]))
    dark, bright = slices["brightness"]
    assert (dark["pictures"], dark["not_acquired"], dark["failure_to_acquire"]) == (2, 1, 0.5)
    assert (bright["from"], bright["below"], bright["failure_to_acquire"]) == (150, None, 0.0)
    assert dark["failure_to_acquire_95"] == metrics.wilson(1, 2)


def test_a_picture_without_a_face_counts_among_the_pictures_only() -> None:
    picture = {trait.name: 100.0 for trait in PICTURE_TRAITS}
    face = {trait.name: 60.0 for trait in FACE_TRAITS}
    template = np.ones(1, np.float32)
    reading = Reading(
        dict.fromkeys("abc", picture),
        dict.fromkeys("ab", face),
        dict.fromkeys("ab", template),
    )
    paired = PairedPictures(
        ("a", "b", "c"),
        np.array([[0, 1]], np.int32),
        np.empty((0, 2), np.int32),
        np.zeros(3, np.int32),
    )
    made = Comparisons(np.array([5.0]), np.empty(0), 2, 0, paired)
    slices = slices_of(made, reading, 1.0)
    assert reading.missed == ["c"]
    assert [row["genuine_pairs"] for row in slices["pairs"]["tilt_deg"]] == [1]
    (row,) = slices["pictures"]["shorter_side_px"]
    assert (row["pictures"], row["not_acquired"]) == (3, 1)
    assert slices_of(made, reading, None)["pairs"] == {}


def test_a_pictures_traits_tell_dark_from_bright_and_blurred_from_sharp() -> None:
    noise = np.random.default_rng(0).integers(0, 200, (40, 600, 3), np.uint8)
    sharp, flat = picture_traits(noise), picture_traits(np.full((600, 40, 3), 30, np.uint8))
    assert sharp["shorter_side_px"] == flat["shorter_side_px"] == 40
    assert sharp["brightness"] == pytest.approx(100, abs=5)
    assert flat["brightness"] == 30
    assert sharp["sharpness"] > flat["sharpness"] == 0
    assert {trait.name for trait in PICTURE_TRAITS} == set(sharp)


def drawn(people: int, pictures: int, between: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores of all pairs; a person's genuine scores share a level that is drawn `between`."""
    generator = np.random.default_rng(1)
    who = [str(person) for person in range(people) for _ in range(pictures)]
    paired = every_pair(who, who)
    level = generator.normal(2, between, people)[paired.person[paired.genuine[:, 0]]]
    genuine = level + generator.normal(0, 1, len(paired.genuine))
    return genuine, generator.normal(-2, 1.5, len(paired.impostor)), who


def test_intervals_hold_the_figure_and_are_wider_where_a_persons_pairs_are_alike() -> None:
    widths = []
    for between in (0.0, 2.0):
        genuine, impostor, who = drawn(25, 5, between)
        sure = bootstrap.intervals(
            genuine, impostor, every_pair(who, who), np.random.default_rng(0)
        )
        assert sure is not None
        assert sure.eer[0] < metrics.equal_error_rate(genuine, impostor) < sure.eer[1]
        assert sure.auc[0] < metrics.area_under_curve(genuine, impostor) < sure.auc[1]
        widths.append(sure.eer[1] - sure.eer[0])
    assert widths[1] > 2 * widths[0]


def test_the_interval_of_independent_pairs_is_that_of_theory() -> None:
    # A genuine pair a person: the AUC's standard error of Hanley and McNeil, Radiology 143, 1982.
    generator = np.random.default_rng(3)
    count = 400
    genuine, impostor = generator.normal(1.5, 1, count), generator.normal(0, 1, count)
    pictures = np.arange(2 * count, dtype=np.int32).reshape(-1, 2)
    apart = np.stack([pictures[:, 0], np.roll(pictures[:, 1], 1)], axis=1)
    person = np.repeat(np.arange(count, dtype=np.int32), 2)
    names = tuple(map(str, range(2 * count)))
    sure = bootstrap.intervals(
        genuine, impostor, PairedPictures(names, pictures, apart, person), generator
    )
    assert sure is not None
    auc = metrics.area_under_curve(genuine, impostor)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (count - 1) * (q1 - auc**2 + q2 - auc**2)
    theory = 2 * 1.96 * np.sqrt(variance) / count
    width = sure.auc[1] - sure.auc[0]
    # Two people make an impostor pair and both must be drawn: somewhat wider than theory's.
    assert 0.9 * theory < width < 1.8 * theory


def test_scores_that_do_not_overlap_have_no_interval() -> None:
    paired = every_pair(list("abcd"), ["a", "a", "c", "c"])
    generator = np.random.default_rng(0)
    assert bootstrap.intervals(np.ones(2), np.zeros(4), paired, generator) is None
    assert bootstrap.intervals(np.empty(0), np.zeros(4), paired, generator) is None
