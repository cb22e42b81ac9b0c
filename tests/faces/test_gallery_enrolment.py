"""May these templates become one person's? Scores in, the reason against it out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oneglance.errors import GalleryError
from oneglance.faces.gallery.enrolment import check_agreement, check_lookalike, check_own

scores = st.floats(-50, 20, width=32)


def symmetric(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_the_two_pictures_that_agree_least_are_named() -> None:
    table = symmetric([[9, 5, 1], [5, 9, -2], [1, -2, 9]])
    with pytest.raises(GalleryError, match=r"b\.jpg and c\.jpg do not look like one") as caught:
        check_agreement(table, ["a.jpg", "b.jpg", "c.jpg"], 0.0)
    assert "--force" in caught.value.fix
    check_agreement(table, ["a.jpg", "b.jpg", "c.jpg"], -2.0)


def test_one_picture_always_agrees_with_itself() -> None:
    check_agreement(symmetric([[0.0]]), ["a.jpg"], 5.0)


@given(table=arrays(np.float32, (4, 4), elements=scores), threshold=scores)
def test_pictures_pass_exactly_when_every_pair_reaches_the_threshold(
    table: np.ndarray, threshold: float
) -> None:
    pairs = [table[i, j] for i in range(4) for j in range(i + 1, 4)]
    if min(pairs) >= threshold:
        check_agreement(table, list("abcd"), threshold)
    else:
        with pytest.raises(GalleryError):
            check_agreement(table, list("abcd"), threshold)


def test_the_most_alike_person_is_named() -> None:
    table = symmetric([[-9, 1, -9], [-9, -9, 2]])
    with pytest.raises(GalleryError, match="looks like 'cleo'"):
        check_lookalike(table, ["ada", "bob", "cleo"], 0.0)
    check_lookalike(table, ["ada", "bob", "cleo"], 2.5)


def test_in_an_empty_gallery_nobody_looks_alike() -> None:
    check_lookalike(np.empty((3, 0), np.float32), [], -100.0)


@given(table=arrays(np.float32, (2, 3), elements=scores), threshold=scores)
def test_a_new_person_passes_exactly_when_every_score_is_under_the_threshold(
    table: np.ndarray, threshold: float
) -> None:
    if table.max() < threshold:
        check_lookalike(table, ["a", "b", "c"], threshold)
    else:
        with pytest.raises(GalleryError):
            check_lookalike(table, ["a", "b", "c"], threshold)


def test_each_new_picture_must_look_like_one_of_the_persons_own() -> None:
    table = symmetric([[-9, 3], [1, -9]])
    check_own(table, "ada", 1.0)
    for scores in (table, symmetric([[np.nan, 9]])):
        with pytest.raises(GalleryError, match="does not look like 'ada'"):
            check_own(scores, "ada", 1.5)
    with pytest.raises(GalleryError, match="'ada' does not count at this time"):
        check_own(np.empty((1, 0), np.float32), "ada", -99.0)


def test_a_score_that_is_no_number_is_refused() -> None:
    bad = symmetric([[1, np.nan], [np.nan, 1]])
    with pytest.raises(GalleryError):
        check_agreement(bad, ["a", "b"], -5.0)
    with pytest.raises(GalleryError):
        check_lookalike(bad, ["a", "b"], 50.0)
