from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.daemon.camera.health import (
    DARK_FOR_S,
    FROZEN_FOR_S,
    PACE_WINDOW_S,
    TELL_S,
    CameraHealth,
    is_dark,
    is_sane,
)


def picture(height: int = 480, width: int = 640, grey: int = 90) -> NDArray[np.uint8]:
    return np.full((height, width, 3), grey, np.uint8)


def run(
    health: CameraHealth,
    seconds: float,
    *,
    start_s: float = 0.0,
    fps: float = 15.0,
    pixels: NDArray[np.uint8] | None = None,
) -> float:
    """Frames for so long; returns when it ends."""
    shown = picture() if pixels is None else pixels
    for i in range(int(seconds * fps)):
        health.frame(shown, start_s + i / fps)
    return start_s + seconds


def test_a_good_camera_is_not_complained_about() -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, 30.0)
    assert health.reasons(end_s) == ()


def test_a_change_of_size_is_counted_and_told_for_a_while() -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, 5.0)
    end_s = run(health, 1.0, start_s=end_s, pixels=picture(240, 320))
    assert health.reasons(end_s) == ("camera_resized",)
    end_s = run(health, TELL_S, start_s=end_s, pixels=picture(240, 320))
    assert health.reasons(end_s) == ()
    assert health.faults.resized == 1


def test_bad_frames_are_counted_and_told_for_a_while() -> None:
    health = CameraHealth(paced=False)
    health.bad_frames(3, 1.0)
    assert health.reasons(1.0 + TELL_S) == ("camera_corrupt",)
    assert health.reasons(1.1 + TELL_S) == ()
    assert health.faults.bad == 3


def test_a_black_picture_is_told_once_it_lasts_and_until_it_ends() -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, DARK_FOR_S - 0.5, pixels=picture(grey=0))
    assert health.reasons(end_s) == ()
    end_s = run(health, 1.0, start_s=end_s, pixels=picture(grey=0))
    assert health.reasons(end_s) == ("camera_dark",)
    health.frame(picture(), end_s)
    assert health.reasons(end_s) == ()


def test_a_picture_that_stays_the_same_is_told_once_it_lasts_and_until_it_ends() -> None:
    health = CameraHealth(paced=True)
    still, other = picture(), picture()
    other[7, 3, 1] += 1
    assert health.is_new(still, 0.0)
    assert not health.is_new(still.copy(), 1.0)
    assert health.reasons(0.9 + FROZEN_FOR_S) == ()
    assert not health.is_new(still.copy(), 1.0 + FROZEN_FOR_S)
    assert health.reasons(1.0 + FROZEN_FOR_S) == ("camera_frozen",)
    assert health.is_new(other, 1.1 + FROZEN_FOR_S)
    assert health.reasons(1.1 + FROZEN_FOR_S) == ()
    assert health.is_new(picture(240, 320), 20.0)
    assert health.faults.repeated == 2


def test_a_camera_opened_anew_on_the_same_picture_shows_nothing_new() -> None:
    health = CameraHealth(paced=True)
    assert health.is_new(picture(), 0.0)
    health.opened()
    assert not health.is_new(picture(), 1.0)


@pytest.mark.parametrize(
    ("fps", "reasons"),
    [
        (1.0, ("camera_slow",)),
        (3.0, ("camera_slow",)),
        (10.0, ()),
        (60.0, ()),
        (120.0, ("camera_fast",)),
    ],
)
def test_a_camera_is_told_by_its_pace(fps: float, reasons: tuple[str, ...]) -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, 2.5 * PACE_WINDOW_S, fps=fps)
    assert health.reasons(end_s) == reasons
    end_s = run(health, 2.5 * PACE_WINDOW_S, start_s=end_s, fps=20.0)
    assert health.reasons(end_s) == ()


def test_a_camera_whose_frames_stop_is_slow_without_a_further_frame() -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, PACE_WINDOW_S)
    health.reasons(end_s)
    assert health.reasons(end_s + 2 * PACE_WINDOW_S) == ("camera_slow",)


def test_a_recording_has_the_pace_that_it_has() -> None:
    health = CameraHealth(paced=False)
    assert health.reasons(run(health, 30.0, fps=1.0)) == ()


def test_a_camera_opened_anew_is_judged_anew() -> None:
    health = CameraHealth(paced=True)
    end_s = run(health, 10.0, fps=1.0, pixels=picture(grey=0))
    assert health.reasons(end_s) == ("camera_dark", "camera_slow")
    health.opened()
    assert health.reasons(end_s) == ()


def test_a_clock_that_steps_back_makes_no_complaint_last_for_ever() -> None:
    health = CameraHealth(paced=True)
    health.bad_frames(1, 1000.0)
    assert health.reasons(10.0) == ()
    assert health.reasons(run(health, 2 * PACE_WINDOW_S, start_s=10.0)) == ()


@pytest.mark.parametrize(
    ("height", "width", "sane"),
    [(480, 640, True), (4320, 7680, True), (8, 640, False), (1, 1, False), (10, 9000, False)],
)
def test_a_picture_of_a_size_that_no_camera_has_is_none(
    height: int, width: int, sane: bool
) -> None:
    assert is_sane(picture(height, width)) is sane


def test_a_dark_picture_is_one_without_anything_in_it() -> None:
    rng = np.random.default_rng(0)
    noise = rng.poisson(2.0, (480, 640, 3)).astype(np.uint8)
    lamp = noise.copy()
    lamp[100:200, 100:200] = 200
    assert is_dark(picture(grey=0))
    assert is_dark(noise)
    assert not is_dark(lamp)
    assert not is_dark(picture(grey=20))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.sampled_from([(48, 64), (96, 64)]), st.booleans()),
        max_size=60,
    )
)
def test_whatever_comes_whenever_it_goes_on_and_keeps_nothing(
    events: list[tuple[float, tuple[int, int], bool]],
) -> None:
    health = CameraHealth(paced=True)
    now_s = 100.0
    for step_s, size, bad in events:
        now_s += step_s
        if bad:
            health.bad_frames(1, now_s)
        else:
            health.frame(picture(*size), now_s)
        assert len(health.reasons(now_s)) <= 4
    assert health.faults.bad == sum(bad for _, _, bad in events)
