"""Cameras that misbehave, before the real daemon: it says so, goes on, and gets over it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.config import Config, MqttConfig
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera.health import CameraHealth

Wait = Callable[..., None]
House = Callable[..., Config]


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    small = np.random.default_rng(seed).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    data: bytes = cv2.imencode(".jpg", pixels)[1].tobytes()
    return data


@contextmanager
def watched(config: Config, listener: Any, wait_until: Wait) -> Iterator[Callable[[str], None]]:
    """A running daemon; yields `told(reason)`, which waits until its newest status has just that.

    An empty gallery is told of all the time; `told("")` waits until nothing else is.
    """
    daemon = Daemon(config)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            daemon.run()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run)
    thread.start()

    def told(reason: str) -> None:
        def newest() -> bool:
            assert not failures, failures
            states = listener.states()
            wanted = {"gallery_empty"} | ({reason} if reason else set())
            return bool(states) and set(states[-1][1]) == wanted

        wait_until(newest, f"status {reason!r}; told: {listener.states()}", 40.0)

    try:
        told("")
        yield told
    finally:
        daemon.stop()
        thread.join(30)
    assert not failures


@pytest.fixture
def told(
    house: House,
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], None]]:
    # Nobody needs the patience here that a door needs.
    monkeypatch.setattr("oneglance.daemon.camera.health.TELL_S", 1.0)
    monkeypatch.setattr("oneglance.daemon.camera.health.PACE_WINDOW_S", 1.5)
    monkeypatch.setattr("oneglance.daemon.camera.health.DARK_FOR_S", 0.5)
    network_camera.show(picture(240, 320))
    listener = listen(broker)
    with watched(house(network_camera.url, mqtt=broker), listener, wait_until) as told:
        yield told


def test_a_stream_that_changes_its_size_is_gone_on_with(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    for height, width in ((120, 160), (480, 640)):
        network_camera.show(np.zeros((height, width, 3), np.uint8))
        told("camera_dark:cam0")
        network_camera.show(picture(height, width))
        told("")


def test_a_stream_of_broken_pictures_is_gone_on_with(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    whole, other = jpeg(picture(240, 320)), jpeg(picture(240, 320, seed=1))
    torn = [whole[: len(whole) // 3], whole[:30], bytes(500), whole[:200] + whole[400:]]
    network_camera.jpegs = [whole, *torn, other, *torn]
    told("camera_corrupt:cam0")
    network_camera.jpegs = [whole, other]
    told("")


def test_a_stream_of_wrong_lengths_is_told_and_gone_on_with(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    network_camera.length_off = -200
    told("camera_corrupt:cam0")
    network_camera.length_off = 0
    told("")


def test_a_stream_that_repeats_its_last_picture_is_told(
    network_camera: Any, told: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oneglance.daemon.camera.health.FROZEN_FOR_S", 1.0)
    network_camera.jpegs = network_camera.jpegs[:1]
    told("camera_frozen:cam0")
    network_camera.show(picture(240, 320))
    told("")


def test_a_camera_that_sees_nothing_is_told(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    network_camera.show(np.zeros((240, 320, 3), np.uint8))
    told("camera_dark:cam0")
    network_camera.show(picture(240, 320))
    told("")


def test_a_camera_of_one_frame_a_second_is_told(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    network_camera.period_s = 1.0
    told("camera_slow:cam0")
    network_camera.period_s = 0.03
    told("")


def test_a_camera_of_far_too_many_frames_is_told_and_thinned_out(
    network_camera: Any, told: Callable[[str], None]
) -> None:
    network_camera.period_s = 0.004
    told("camera_fast:cam0")
    network_camera.period_s = 0.03
    told("")


def test_pictures_of_ever_other_sizes_are_watched_to_their_end(
    house: House,
    photos: Path,
    tmp_path: Path,
    enrol: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: set[str] = set()
    take = CameraHealth.frame

    def frame(health: CameraHealth, pixels: NDArray[np.uint8], at_s: float) -> None:
        take(health, pixels, at_s)
        told.update(health.reasons(at_s))

    monkeypatch.setattr(CameraHealth, "frame", frame)
    enrol("Barack Obama", photo=photos / "obama.jpg")
    portrait = cv2.imread(str(photos / "obama2.jpg"))
    folder = tmp_path / "sizes"
    folder.mkdir()
    sizes = [(480, 640), (240, 320), (360, 640), (33, 47), (480, 64), (480, 640)]
    for number, (height, width) in enumerate(sizes):
        frame = np.full((height, width, 3), 96, np.uint8)
        side = min(height, width)
        frame[:side, :side] = cv2.resize(portrait[:, : portrait.shape[0]], (side, side))
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    totals = Daemon(house(folder), mqtt=False).run()
    assert totals.frames == len(sizes)
    assert "camera_resized" in told


def test_a_film_cut_from_streams_of_several_sizes_is_watched_to_its_end(
    house: House, tmp_path: Path
) -> None:
    film = tmp_path / "film.ts"
    for number, size in enumerate(["320x240", "160x120", "640x480"]):
        part = tmp_path / f"part{number}.ts"
        source = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=10", "-t", "1"]
        command = ["ffmpeg", "-loglevel", "error", *source, "-f", "mpegts", str(part)]
        subprocess.run(command, check=True, timeout=60)
        with film.open("ab") as whole:
            whole.write(part.read_bytes())
    assert Daemon(house(film), mqtt=False).run().frames >= 25
