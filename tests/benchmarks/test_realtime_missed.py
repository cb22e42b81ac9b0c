"""Who counts as missed, in films of boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from missed import Missed, count_missed

from oneglance.faces.find.boxes import Box

FPS = 10.0
FACE = Box(100, 100, 80, 80)
NOBODY: list[Box] = []


def film(*frames: tuple[int, list[Box]]) -> list[list[Box]]:
    """(how many frames, the boxes in each of them), ..."""
    return [boxes for count, boxes in frames for _ in range(count)]


def test_a_visit_seen_in_three_frames_is_not_missed_but_its_other_frames_are() -> None:
    reference = film((10, [FACE]))
    ours = film((7, NOBODY), (3, [FACE]))
    assert count_missed(reference, ours, FPS, needed=3) == Missed(1, 0, 10, 7)


def test_a_visit_seen_in_two_frames_is_missed() -> None:
    assert count_missed(film((10, [FACE])), film((8, NOBODY), (2, [FACE])), FPS, 3) == Missed(
        1, 1, 10, 8
    )


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (film((4, [FACE]), (6, NOBODY)), "too short"),
        (film((10, [Box(100, 100, 59, 59)])), "too small"),
        (film((10, NOBODY)), "nobody"),
    ],
)
def test_what_is_no_visit_cannot_be_missed(reference: list[list[Box]], why: str) -> None:
    assert count_missed(reference, film((10, NOBODY)), FPS, 3) == Missed(0, 0, 0, 0), why


def test_a_face_elsewhere_does_not_stand_for_the_one_that_is_missed() -> None:
    ours = film((10, [FACE.moved(300, 0)]))
    assert count_missed(film((10, [FACE])), ours, FPS, 3) == Missed(1, 1, 10, 10)


def test_two_people_at_once_are_two_visits() -> None:
    other = FACE.moved(300, 0)
    both = film((10, [FACE, other]))
    assert count_missed(both, film((10, [FACE])), FPS, 3) == Missed(2, 1, 20, 10)


def test_a_gap_of_the_reference_does_not_make_two_visits() -> None:
    reference = film((4, [FACE]), (2, NOBODY), (4, [FACE]))
    assert count_missed(reference, film((10, [FACE])), FPS, 3) == Missed(1, 0, 8, 0)
    apart = film((4, [FACE]), (3, NOBODY), (4, [FACE]))
    assert count_missed(apart, film((11, [FACE])), FPS, 3).visits == 0


@given(st.lists(st.lists(st.integers(0, 3), max_size=3, unique=True), max_size=30))
def test_who_sees_all_that_the_reference_sees_misses_nothing(frames: list[list[int]]) -> None:
    boxes = [[FACE.moved(200 * place, 0) for place in frame] for frame in frames]
    found = count_missed(boxes, boxes, FPS, needed=3)
    assert (found.missed_visits, found.missed_face_frames) == (0, 0)
