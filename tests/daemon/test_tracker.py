from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.daemon.sight.tracker import Tracker
from oneglance.faces.find.boxes import Box

boxes = st.builds(
    Box,
    st.floats(-50, 700),
    st.floats(-50, 500),
    st.floats(24, 300),
    st.floats(24, 300),
)
walks = st.lists(st.tuples(st.floats(-0.5, 3), st.lists(boxes, max_size=5)), max_size=12)


def test_a_face_that_walks_by_keeps_its_track() -> None:
    tracker = Tracker(1.0)
    ids = {tracker.update([Box(10 + 8 * i, 20, 100, 100)], i / 10)[0].track_id for i in range(30)}
    assert ids == {1}


def test_two_faces_side_by_side_keep_their_own_tracks() -> None:
    tracker = Tracker(1.0)
    for i in range(10):
        tracks = tracker.update([Box(300 - i, 0, 100, 100), Box(10 + i, 0, 100, 100)], i / 10)
        left = min(tracks, key=lambda t: t.box.x)
        right = max(tracks, key=lambda t: t.box.x)
        assert (left.track_id, right.track_id) == (2, 1)


def test_a_face_that_jumps_is_a_new_track() -> None:
    tracker = Tracker(1.0)
    first = tracker.update([Box(0, 0, 100, 100)], 0.0)[0]
    seen = [t for t in tracker.update([Box(300, 0, 100, 100)], 0.1) if t.seen]
    assert [t.track_id for t in seen] != [first.track_id]


def test_a_face_that_suddenly_doubles_is_a_new_track() -> None:
    tracker = Tracker(1.0)
    tracker.update([Box(100, 100, 100, 100)], 0.0)
    seen = [t for t in tracker.update([Box(50, 50, 200, 200)], 0.1) if t.seen]
    assert [t.track_id for t in seen] == [2]


def test_a_face_missed_for_a_moment_is_still_the_same() -> None:
    tracker = Tracker(1.0)
    tracker.update([Box(0, 0, 100, 100)], 0.0)
    missing = tracker.update([], 0.3)
    assert [(t.track_id, t.seen) for t in missing] == [(1, False)]
    assert [t.track_id for t in tracker.update([Box(60, 0, 100, 100)], 0.6)] == [1]


def test_a_face_away_for_longer_than_leave_s_has_left() -> None:
    tracker = Tracker(1.0)
    tracker.update([Box(0, 0, 100, 100)], 0.0)
    assert [t.track_id for t in tracker.update([Box(0, 0, 100, 100)], 1.01)] == [2]


def test_time_that_runs_backwards_ends_all_tracks() -> None:
    tracker = Tracker(1.0)
    tracker.update([Box(0, 0, 100, 100)], 5.0)
    assert [t.track_id for t in tracker.update([Box(0, 0, 100, 100)], 4.9)] == [2]


@settings(deadline=None)
@given(walks)
def test_each_box_has_one_seen_track_and_numbers_never_come_back(
    walk: list[tuple[float, list[Box]]],
) -> None:
    tracker = Tracker(1.0)
    at_s = 0.0
    gone: set[int] = set()
    before: set[int] = set()
    for step_s, found in walk:
        at_s += step_s
        tracks = tracker.update(found, at_s)
        ids = {t.track_id for t in tracks}
        assert len(ids) == len(tracks)
        assert sorted((t.box.x, t.box.y) for t in tracks if t.seen) == sorted(
            (b.x, b.y) for b in found
        )
        assert all(at_s - t.last_at_s <= 1.0 for t in tracks)
        gone |= before - ids
        assert not gone & ids
        before = ids


@settings(deadline=None)
@given(walks)
def test_the_same_walk_gives_the_same_tracks(walk: list[tuple[float, list[Box]]]) -> None:
    one, other = Tracker(1.0), Tracker(1.0)
    at_s = 0.0
    for step_s, found in walk:
        at_s += step_s
        assert one.update(found, at_s) == other.update(found, at_s)


def test_a_followed_face_keeps_its_track_however_far_it_moved() -> None:
    tracker = Tracker(1.0)
    first = tracker.update([Box(0, 0, 100, 100)], 0.0)[0]
    tracks = tracker.update([Box(0, 0, 100, 100)], 0.1, {first.track_id: Box(400, 0, 100, 100)})
    assert [(t.track_id, t.box.x, t.seen) for t in tracks] == [(1, 400, True), (2, 0, True)]


def test_a_lost_track_is_continued_by_a_face_found_near_while_others_are_followed() -> None:
    tracker = Tracker(1.0)
    tracker.update([Box(0, 0, 100, 100), Box(300, 0, 100, 100)], 0.0)
    tracker.update([], 0.1, {2: Box(310, 0, 100, 100)})
    tracks = tracker.update([Box(10, 0, 100, 100)], 0.2, {2: Box(320, 0, 100, 100)})
    assert [(t.track_id, t.box.x, t.seen) for t in tracks] == [(2, 320, True), (1, 10, True)]


@settings(deadline=None)
@given(walks, st.data())
def test_following_and_finding_together_never_put_one_number_on_two_faces(
    walk: list[tuple[float, list[Box]]], data: st.DataObject
) -> None:
    tracker, at_s = Tracker(1.0), 0.0
    for step_s, found in walk:
        at_s += step_s
        alive = [t.track_id for t in tracker.alive(at_s)]
        ids = data.draw(st.lists(st.sampled_from(alive), unique=True)) if alive else []
        followed = {track_id: data.draw(boxes) for track_id in ids}
        tracks = tracker.update(found, at_s, followed)
        assert len({t.track_id for t in tracks}) == len(tracks)
        assert [t.box for t in tracks if t.seen] == [*followed.values(), *found]
        assert [t.track_id for t in tracks[: len(followed)]] == ids
