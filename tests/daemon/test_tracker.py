from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.daemon.sight.tracker import Track, match
from oneglance.faces.find.boxes import Box

boxes = st.builds(
    Box,
    st.floats(-50, 700),
    st.floats(-50, 500),
    st.floats(24, 300),
    st.floats(24, 300),
)
tracks = st.lists(st.tuples(boxes, st.floats(0, 1)), max_size=6).map(
    lambda drawn: [Track(i, box, at_s) for i, (box, at_s) in enumerate(drawn, 1)]
)


def one(x: float = 0.0, y: float = 0.0, side: float = 100.0, number: int = 1) -> Track:
    return Track(number, Box(x, y, side, side), 0.0)


def test_a_face_that_walks_by_keeps_its_track() -> None:
    track = one(10)
    for i in range(1, 30):
        box = Box(10 + 8 * i, 20, 100, 100)
        found = match([track], (), [box], i / 10)
        assert (found.continued, found.begun) == ({1: 0}, ())
        track = Track(1, box, i / 10)


def test_two_faces_side_by_side_keep_their_own_tracks() -> None:
    found = match(
        [one(300, number=1), one(10, number=2)],
        (),
        [Box(12, 0, 100, 100), Box(298, 0, 100, 100)],
        0.1,
    )
    assert (found.continued, found.begun) == ({1: 1, 2: 0}, ())


def test_of_two_boxes_near_a_track_the_nearer_continues_it_and_the_other_is_new() -> None:
    found = match([one()], (), [Box(30, 0, 100, 100), Box(5, 0, 100, 100)], 0.1)
    assert (found.continued, found.begun) == ({1: 1}, (0,))


def test_of_two_tracks_near_a_box_the_nearer_goes_on_and_the_other_waits() -> None:
    found = match([one(number=1), one(30, number=2)], (), [Box(25, 0, 100, 100)], 0.1)
    assert (found.continued, found.begun) == ({2: 0}, ())


@pytest.mark.parametrize(
    "box",
    [Box(300, 0, 100, 100), Box(-50, -50, 200, 200)],
    ids=["that jumps", "that suddenly doubles"],
)
def test_a_face_is_a_new_one(box: Box) -> None:
    found = match([one()], (), [box], 0.1)
    assert (found.continued, found.begun) == ({}, (0,))


def test_a_face_may_have_gone_farther_the_longer_it_was_not_found() -> None:
    away = [Box(90, 0, 100, 100)]
    assert match([one()], (), away, 0.1).continued == {}
    assert match([one()], (), away, 0.5).continued == {1: 0}


@pytest.mark.parametrize(("at_s", "alive"), [(5.0, True), (6.0, True), (6.01, False), (4.9, False)])
def test_a_track_lives_for_leave_s_after_its_face_and_never_before_it(
    at_s: float, alive: bool
) -> None:
    assert Track(1, Box(0, 0, 9, 9), 5.0).is_alive(at_s, 1.0) is alive


@settings(deadline=None)
@given(tracks, st.lists(boxes, max_size=6), st.floats(1, 3))
def test_each_box_is_told_once_and_no_track_gets_two(
    known: list[Track], found: list[Box], at_s: float
) -> None:
    told = match(known, (), found, at_s)
    assert sorted([*told.continued.values(), *told.begun]) == list(range(len(found)))
    assert set(told.continued) <= {track.track_id for track in known}


@settings(deadline=None)
@given(tracks, st.lists(boxes, max_size=6), st.floats(1, 3))
def test_a_track_that_waits_is_near_no_box_that_began_anew(
    known: list[Track], found: list[Box], at_s: float
) -> None:
    told = match(known, (), found, at_s)
    waiting = [track for track in known if track.track_id not in told.continued]
    left = [found[place] for place in told.begun]
    assert match(waiting, (), left, at_s).continued == {}


def test_a_face_found_near_a_followed_one_continues_the_other_track_or_none() -> None:
    both = [one(number=1), one(60, number=2)]
    found = match(both, {1}, [Box(5, 0, 100, 100)], 0.1)
    assert (found.continued, found.begun) == ({2: 0}, ())
    found = match(both, {1, 2}, [Box(5, 0, 100, 100)], 0.1)
    assert (found.continued, found.begun) == ({}, (0,))


@settings(deadline=None)
@given(tracks, st.data(), st.lists(boxes, max_size=6), st.floats(1, 3))
def test_a_track_whose_face_is_followed_gets_no_other_face(
    known: list[Track], data: st.DataObject, found: list[Box], at_s: float
) -> None:
    numbers = [track.track_id for track in known]
    followed = data.draw(st.sets(st.sampled_from(numbers))) if numbers else set()
    told = match(known, followed, found, at_s)
    assert not followed & set(told.continued)
    others = [track for track in known if track.track_id not in followed]
    assert told == match(others, (), found, at_s)
