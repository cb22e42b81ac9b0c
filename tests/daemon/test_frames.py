from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from oneglance.daemon.camera.frames import Frame, FrameExchange


def frame(index: int, camera: str = "a") -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), float(index), float(index), index, camera)


def test_the_newest_frame_wins_and_the_drops_are_counted() -> None:
    exchange = FrameExchange(("a",))
    for index in range(5):
        exchange["a"].put(frame(index))
    assert [f.index for f in exchange.take(0)] == [4]
    assert exchange.dropped == 4
    assert exchange.take(0) == []


def test_one_take_brings_at_most_one_frame_of_each_camera() -> None:
    exchange = FrameExchange(("a", "b"))
    exchange["a"].put(frame(1, "a"))
    exchange["b"].put(frame(2, "b"))
    assert {f.camera for f in exchange.take(0)} == {"a", "b"}


def test_a_frame_of_any_camera_wakes_the_one_who_waits() -> None:
    exchange = FrameExchange(("a", "b"))
    taken: list[Frame] = []
    thread = threading.Thread(target=lambda: taken.extend(exchange.take(20)))
    thread.start()
    exchange["b"].put(frame(3, "b"))
    thread.join(20)
    assert [f.index for f in taken] == [3]


def test_a_frame_counts_as_worked_off_only_at_the_next_take() -> None:
    exchange = FrameExchange(("a",))
    assert exchange.idle
    exchange["a"].put(frame(1))
    assert not exchange.idle
    exchange.take(0)
    assert not exchange.idle
    exchange.take(0)
    assert exchange.idle


def test_who_waits_for_idle_gives_up_when_stopped() -> None:
    exchange = FrameExchange(("a",))
    exchange["a"].put(frame(1))
    assert not exchange["a"].wait_idle(lambda: True)
    exchange.take(0)
    exchange.take(0)
    assert exchange["a"].wait_idle(lambda: False)


def test_a_lost_cameras_last_frame_is_forgotten(
    wait_until: Callable[[Callable[[], bool], str], None],
) -> None:
    exchange = FrameExchange(("a",))
    exchange["a"].put(frame(1))
    exchange["a"].clear()
    assert exchange.take(0) == []
    assert exchange.dropped == 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_a_frame_refuses_pixels_of_another_shape(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        Frame(pixels, 0.0, 0.0, 0, "a")
