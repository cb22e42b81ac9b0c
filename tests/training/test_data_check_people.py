"""Mixed-up identities, on templates that are drawn at random: the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.training.data.check_people import (
    lookalikes,
    median_template,
    outliers,
    threshold_for,
)

PEOPLE, EACH, SIZE = 40, 4, 64


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(a @ b.T, np.float32)


@pytest.fixture
def templates() -> NDArray[np.float32]:
    """EACH noisy templates (PEOPLE * EACH, SIZE) of each of PEOPLE random people."""
    rng = np.random.default_rng(5)
    people = rng.normal(size=(PEOPLE, 1, SIZE))
    rows = (people + 0.5 * rng.normal(size=(PEOPLE, EACH, SIZE))).reshape(-1, SIZE)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def right() -> dict[str, list[int]]:
    return {f"p{i:02d}": list(range(EACH * i, EACH * i + EACH)) for i in range(PEOPLE)}


def test_people_who_are_who_they_are_raise_no_suspicion(templates: NDArray[np.float32]) -> None:
    assert outliers(templates, right(), cosine, 0.5, 0.6) == []
    assert lookalikes(templates, right(), cosine, 0.6, lambda _: None) == []


def test_a_picture_of_somebody_else_is_found_and_said_to_be_whose(
    templates: NDArray[np.float32],
) -> None:
    members = right()
    members["p03"].remove(13)
    members["p20"].append(13)
    (found,) = outliers(templates, members, cosine, 0.5, 0.6)
    assert (found.place, found.identity, found.looks_like) == (13, "p20", "p03")
    assert found.score < 0.5
    assert found.other_score >= 0.6


def test_a_picture_of_a_stranger_looks_like_nobody(templates: NDArray[np.float32]) -> None:
    members = right()
    stranger = members.pop("p39")[0]
    members["p20"].append(stranger)
    (found,) = outliers(templates, members, cosine, 0.5, 0.6)
    assert (found.place, found.looks_like) == (stranger, "")


def test_a_poor_picture_that_still_looks_most_like_its_own_person_is_no_outlier(
    templates: NDArray[np.float32],
) -> None:
    rng = np.random.default_rng(6)
    poor = templates[0] + 1.6 / np.sqrt(SIZE) * rng.normal(size=SIZE)
    templates[0] = poor / np.linalg.norm(poor)
    score = float(templates[0] @ median_template(templates[1:4]))
    assert score < 0.7
    assert outliers(templates, right(), cosine, 0.7, 0.8) == []


def test_with_few_people_the_threshold_alone_decides(templates: NDArray[np.float32]) -> None:
    members = {"one": [0, 1, 2], "other": [4, 5, 6, 8]}
    (found,) = outliers(templates, members, cosine, 0.5, 0.6)
    assert (found.place, found.identity) == (8, "other")


def test_one_person_alone_has_no_outlier_and_no_lookalike(templates: NDArray[np.float32]) -> None:
    assert outliers(templates, {"one": [0, 1, 2]}, cosine, 0.5, 0.6) == []
    assert outliers(templates, {"one": [0]}, cosine, 0.5, 0.6) == []
    assert lookalikes(templates, {"one": [0, 1]}, cosine, 0.5, lambda _: None) == []


def test_one_person_under_two_names_is_found_most_alike_first(
    templates: NDArray[np.float32],
) -> None:
    members = right()
    members["p07"], members["double"] = members["p07"][:2], members["p07"][2:]
    members["p30"], members["twin"] = members["p30"][:3], [members["p30"][0]]
    done: list[int] = []
    found = lookalikes(templates, members, cosine, 0.6, done.append)
    assert [{pair.first, pair.second} for pair in found] == [{"p30", "twin"}, {"p07", "double"}]
    assert found[0].score >= found[1].score >= 0.6
    assert sum(done) == len(members)


FITTED = {1e-2: -8.6, 1e-3: -7.9, 1e-4: -7.3, 1e-5: -6.7}


def test_thresholds_are_kept_at_fitted_rates_and_go_on_evenly_beyond() -> None:
    assert threshold_for(1_000, FITTED) == pytest.approx(-7.9)
    assert threshold_for(100_000, FITTED) == pytest.approx(-6.7)
    assert threshold_for(10_000_000, FITTED) == pytest.approx(-5.5)
    assert threshold_for(3, FITTED) == pytest.approx(-7.9)


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_more_comparisons_never_loosen_the_threshold(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert threshold_for(few, FITTED) <= threshold_for(many, FITTED) + 1e-9


def test_a_model_with_one_threshold_has_that_one() -> None:
    assert threshold_for(10**9, {1e-2: 3.0}) == 3.0
