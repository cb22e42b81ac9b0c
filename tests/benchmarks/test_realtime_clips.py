"""Films for benchmarks: what is written is read, and the truth about it is true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import Clip, ClipWriter, as_avi, is_frontal
from films import HALL_PICTURES, Head, Pose, door_film, hall_film, usable, visits_film

from oneglance.faces.find.boxes import Box

SIZE = (320, 240)


@pytest.fixture
def head() -> Head:
    """Somebody without a face: a bright square."""
    layers = np.full((440, 400, 4), 255.0, np.float32)
    layers[..., 3] = 1.0
    return Head("ada", np.zeros(256, np.float32), True, layers, Box(90, 100, 220, 220))


def test_frames_come_back_in_their_order_however_often_they_are_shown(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path / "clip", 10.0)
    dark, light = (np.full((48, 64, 3), grey, np.uint8) for grey in (20, 200))
    writer.add(dark)
    writer.add(light)
    writer.repeat(0)
    clip = writer.close()
    again = Clip(tmp_path / "clip")
    assert [int(again.frame(i).mean()) for i in range(3)] == [20, 200, 20]
    assert (len(again), again.fps, again.size, again.seconds) == (3, 10.0, (64, 48), 0.3)
    assert clip.jpeg(0) == again.jpeg(2)


def test_the_same_clip_as_a_film_has_as_many_frames(tmp_path: Path) -> None:
    clip = hall_film(tmp_path / "hall", SIZE, 10.0, 0.5, seed=1)
    capture = cv2.VideoCapture(str(as_avi(clip, tmp_path / "hall.avi")))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(clip) == 5
    capture.release()


def test_no_two_frames_of_an_empty_hallway_are_equal(tmp_path: Path) -> None:
    clip = hall_film(tmp_path / "hall", SIZE, 10.0, 1.0, seed=1)
    assert len({clip.jpeg(i) for i in range(len(clip))}) == 10


def test_nobody_is_in_the_picture_before_the_first_sight_of_a_visit(
    tmp_path: Path, head: Head
) -> None:
    clip = visits_film(tmp_path / "visits", [head], 2, SIZE, 10.0, seed=3)
    assert [visit.person for visit in clip.visits] == ["ada", "ada"]
    first, second = clip.visits
    assert first.gone_s + 2.0 < second.first_sight_s
    seen = round(first.first_sight_s * clip.fps)
    change = [
        float(np.abs(clip.frame(i).astype(int) - clip.frame(0)).mean()) for i in (seen - 4, seen)
    ]
    assert change[0] < 5 < 10 < change[1]
    different = {clip.jpeg(i) for i in range(len(clip))}
    assert len(different) < HALL_PICTURES + 2 * 14
    stored = clip.path.with_suffix(".frames").stat().st_size
    assert stored == sum(map(len, different)), "an empty hallway is stored a few times only"


def test_the_same_seed_makes_the_same_film(tmp_path: Path, head: Head) -> None:
    one, other = (
        door_film(tmp_path / name, [head], SIZE, 5.0, 4.0, seed=7) for name in ("one", "other")
    )
    assert [one.jpeg(i) for i in range(len(one))] == [other.jpeg(i) for i in range(len(other))]


@pytest.mark.parametrize(
    ("pose", "good"),
    [
        (Pose(100, 160, 120), True),
        (Pose(79, 160, 120), False),
        (Pose(100, 49, 120), False),
        (Pose(100, 160, 191), False),
        (Pose(100, 160, 120, yaw_deg=-31), False),
    ],
)
def test_a_usable_face_is_large_whole_and_not_turned_away(pose: Pose, good: bool) -> None:
    assert usable(pose, SIZE) is good


@pytest.mark.parametrize(
    ("right_eye", "nose", "frontal"),
    [
        ((40, 0), (20, 20), True),
        ((40, 0), (31, 20), False),
        ((40, 0), (9, 20), False),
        ((40, 10), (15, 22), True),
        ((40, 12), (14, 22), False),
        ((40, -12), (26, 18), False),
    ],
)
def test_a_frontal_face_looks_this_way_and_is_upright(
    right_eye: tuple[int, int], nose: tuple[int, int], frontal: bool
) -> None:
    assert is_frontal((0, 0), right_eye, nose) is frontal
