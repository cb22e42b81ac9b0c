"""What one camera sees of real photographs that come, move, tilt, cross and leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from people_on_stage import FACE_PX, Pixels, Stage

from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.search_plan import AFTER_MOTION_S, TURNS_DEG, WHOLE_EVERY_S
from oneglance.daemon.sight.watcher import LEAVE_S, UNCONFIRMED_S, Seen, Watcher
from oneglance.daemon.visit.evidence import Visit
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel

FPS = 15.0
MIN_FACE_PX = 80
OBAMA, BIDEN = "obama2.jpg", "biden.jpg"


class Counting(FaceDetector):
    """The door's detector: how many pixels it was asked to search, and blind if told to be."""

    def __init__(self) -> None:
        door = door_detector()
        super().__init__(scale_factor=door.scale_factor, min_neighbours=door.min_neighbours)
        self.searched_px = 0
        self.blind = False

    def find(self, image_bgr: NDArray[np.uint8], **how: Any) -> list[Box]:
        """Count, and search."""
        self.searched_px += image_bgr.shape[0] * image_bgr.shape[1]
        return [] if self.blind else super().find(image_bgr, **how)


class Camera:
    """A Watcher and its clock."""

    def __init__(self, model: FaceModel) -> None:
        self.detector = Counting()
        self.watcher = Watcher(self.detector, model, MIN_FACE_PX, lambda: Visit(3, 5.0, 1.0))
        self.at_s = 100.0

    def see(self, pixels: Pixels, fps: float = FPS) -> list[Seen]:
        self.at_s += 1 / fps
        return self.watcher.see(pixels, self.at_s)

    def watch(self, frame: Callable[[int], Pixels], frames: int) -> list[list[Seen]]:
        return [self.see(frame(i)) for i in range(frames)]


@pytest.fixture
def camera(model: FaceModel) -> Camera:
    return Camera(model)


@pytest.fixture(scope="module")
def stage(photos: Path) -> Stage:
    return Stage(photos, OBAMA, BIDEN)


def ids(frames: list[list[Seen]]) -> set[int]:
    return {one.track.track_id for seen in frames for one in seen}


def test_who_walks_through_the_frame_is_seen_in_each_frame_as_one_track(
    camera: Camera, stage: Stage
) -> None:
    camera.watch(lambda _: stage.frame(noise=3.0), 5)
    walk = camera.watch(lambda i: stage.frame((OBAMA, 100 + 12 * i, 220), noise=3.0), 35)
    assert [len(seen) for seen in walk] == [1] * 35
    assert ids(walk) == {1}
    for i, (one,) in enumerate(walk):
        assert abs(one.track.box.centre[0] - (100 + 12 * i)) < 0.1 * FACE_PX


def test_a_followed_face_costs_a_fraction_of_a_search_of_each_frame(
    camera: Camera, stage: Stage
) -> None:
    camera.see(stage.frame((OBAMA, 300, 220)))
    whole_px = camera.detector.searched_px
    camera.watch(lambda i: stage.frame((OBAMA, 300 + 2 * i, 220), noise=3.0), 60)
    assert camera.detector.searched_px - whole_px < 0.25 * 60 * whole_px


def test_an_empty_hallway_costs_less_than_a_sixth_of_a_search_of_each_frame(
    camera: Camera, stage: Stage
) -> None:
    camera.see(stage.frame())
    whole_px = camera.detector.searched_px
    camera.watch(lambda _: stage.frame(), round(2 * AFTER_MOTION_S * FPS))
    camera.detector.searched_px = 0
    seen = camera.watch(lambda _: stage.frame(noise=4.0), 60)
    assert ids(seen) == set()
    assert camera.detector.searched_px < 60 * whole_px / 6


def test_somebody_whom_one_search_missed_and_who_stands_still_is_found_all_the_same(
    camera: Camera, stage: Stage
) -> None:
    camera.detector.blind = True
    assert ids(camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 60)) == set()
    camera.detector.blind = False
    frames = camera.watch(
        lambda _: stage.frame((OBAMA, 300, 220)), round(2.5 * WHOLE_EVERY_S * FPS)
    )
    assert ids(frames) == {1}


def test_a_second_person_beside_a_followed_one_is_found_within_half_a_second(
    camera: Camera, stage: Stage
) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 150, 220)), 5)
    both = camera.watch(lambda _: stage.frame((OBAMA, 150, 220), (BIDEN, 450, 220)), 8)
    assert len(both[-1]) == 2
    assert {one.track.track_id for one in both[-1]} == {1, 2}


def test_two_people_who_cross_never_share_a_track_or_a_place(camera: Camera, stage: Stage) -> None:
    def frame(i: int) -> Pixels:
        return stage.frame((BIDEN, 560 - 10 * i, 210), (OBAMA, 90 + 10 * i, 230), noise=2.0)

    frames = camera.watch(frame, 48)
    assert len(frames[0]) == len(frames[-1]) == 2
    for seen in frames:
        assert len({one.track.track_id for one in seen}) == len(seen)
        for one in seen:
            for other in seen:
                assert one is other or one.track.box.iou(other.track.box) < 0.4
    assert min(len(seen) for seen in frames) == 1
    # Who stands in front all the time is one track all the time.
    front = [
        min(seen, key=lambda one: abs(one.track.box.centre[0] - (90 + 10 * i))).track.track_id
        for i, seen in enumerate(frames)
    ]
    assert len(set(front)) == 1


def test_who_was_found_again_after_being_hidden_is_not_sure_to_be_the_same(
    camera: Camera, stage: Stage
) -> None:
    frames = camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 5)
    camera.watch(lambda _: stage.frame(), 6)
    (back,) = camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 2)[-2]
    assert all(one.sure for seen in frames[1:] for one in seen)
    assert back.track.track_id == 1
    assert not back.sure


def test_who_jumps_aside_between_two_frames_keeps_the_track_but_is_not_sure_to_be_the_same(
    camera: Camera, stage: Stage
) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 5)
    (jumped,) = camera.see(stage.frame((OBAMA, 300 + 0.7 * FACE_PX, 220)))
    assert (jumped.track.track_id, jumped.sure) == (1, False)


def test_nothing_is_seen_where_a_face_has_just_left(camera: Camera, stage: Stage) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 300, 220), noise=3.0), 10)
    assert camera.watch(lambda _: stage.frame(noise=3.0), 40) == [[]] * 40


def test_after_a_cut_everybody_new_is_seen_at_once(camera: Camera, stage: Stage) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 100, 240)), 10)
    cut = stage.frame((BIDEN, 480, 220))
    cut[:, :320] = np.arange(0, 160, 0.5).astype(np.uint8)[:, np.newaxis]
    cut[(cut == 96).all(2)] = 200
    seen = camera.see(cut)
    assert [abs(one.track.box.centre[0] - 480) < 20 for one in seen] == [True]
    assert ids([seen]) == {2}


def test_what_no_cascade_takes_for_a_face_any_more_is_not_followed_for_ever(
    camera: Camera, stage: Stage
) -> None:
    camera.see(stage.frame((OBAMA, 300, 220)))
    camera.detector.blind = True
    frames = camera.watch(
        lambda _: stage.frame((OBAMA, 300, 220)), round(1.5 * UNCONFIRMED_S * FPS)
    )
    followed = [bool(seen) for seen in frames]
    assert followed == sorted(followed, reverse=True)
    assert abs(sum(followed) - UNCONFIRMED_S * FPS) <= 2


def test_a_clock_that_steps_back_begins_new_tracks_at_once(camera: Camera, stage: Stage) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 5)
    camera.at_s = 3.0
    assert ids([camera.see(stage.frame((OBAMA, 300, 220)))]) == {2}


def test_a_face_away_for_long_begins_a_new_track(camera: Camera, stage: Stage) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 5)
    camera.watch(lambda _: stage.frame(), round(LEAVE_S * FPS) + 2)
    assert ids(camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 8)) == {2}


@pytest.mark.parametrize("fps", [1.0, 120.0])
def test_a_face_is_seen_at_one_frame_a_second_and_at_120(
    camera: Camera, stage: Stage, fps: float
) -> None:
    frames = [camera.see(stage.frame((OBAMA, 300 + i % 5, 220)), fps) for i in range(20)]
    assert [len(seen) for seen in frames] == [1] * 20
    assert ids(frames) == {1}


def test_a_camera_that_changes_its_size_is_seen_on(camera: Camera, stage: Stage) -> None:
    camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 5)
    frames = camera.watch(lambda _: stage.frame((OBAMA, 300, 220), scale=1.5), 10)
    assert abs(frames[-1][0].track.box.centre[0] - 450) < 20
    frames = camera.watch(lambda _: stage.frame((OBAMA, 300, 220), scale=0.8), 10)
    assert abs(frames[-1][0].track.box.centre[0] - 240) < 20
    assert camera.watch(lambda _: np.zeros((24, 32, 3), np.uint8), 3)[-1] == []


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (23, 23), (50, 49)])
@pytest.mark.parametrize("after", [True, False])
def test_a_frame_of_any_size_is_taken_even_in_the_middle_of_a_film(
    camera: Camera, stage: Stage, size: tuple[int, int], after: bool
) -> None:
    if after:
        camera.watch(lambda _: stage.frame((OBAMA, 300, 220)), 3)
    noise = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert camera.watch(lambda i: noise if i % 2 else noise[::-1].copy(), 12) == [[]] * 12


# Each angle has had its turn by then.
ALL_TURNS = round(2 * len(TURNS_DEG) * WHOLE_EVERY_S * FPS)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("x", [180.0, 320.0, 460.0])
@pytest.mark.parametrize("tilt_deg", [-25.0, 25.0])
def test_a_tilted_head_is_found_where_it_is_and_followed(
    camera: Camera, stage: Stage, tilt_deg: float, x: float, scale: float
) -> None:
    pixels = stage.frame((OBAMA, x, 240), tilt_deg=tilt_deg, scale=scale)
    found = [len(seen) for seen in camera.watch(lambda _: pixels, ALL_TURNS + 10)]
    assert set(found[found.index(1) :]) == {1}
    (one,) = camera.see(pixels)
    off_px = np.subtract(one.track.box.centre, (scale * x, scale * 240))
    assert np.hypot(*off_px) < 0.15 * scale * FACE_PX
    assert 0.8 < one.track.box.width / (scale * FACE_PX) < 1.25


def test_a_head_that_nods_between_upright_and_tilted_is_seen_in_every_frame(
    camera: Camera, stage: Stage
) -> None:
    def frame(i: int) -> Pixels:
        return stage.frame((OBAMA, 300, 220), tilt_deg=25 * np.sin(i / 4))

    assert [len(seen) for seen in camera.watch(frame, 60)] == [1] * 60


def test_who_stays_has_one_record_and_who_comes_has_another(camera: Camera, stage: Stage) -> None:
    (first,) = camera.see(stage.frame((OBAMA, 150, 220)))
    camera.watch(lambda _: stage.frame((OBAMA, 150, 220), (BIDEN, 450, 220)), 8)
    visitors = list(camera.watcher.visitors.values())
    assert len(visitors) == 2
    assert visitors[0] is first.visitor
    assert visitors[0].visit is not visitors[1].visit
    camera.at_s += LEAVE_S
    assert camera.see(stage.frame()) == []
    assert camera.watcher.visitors == {}
