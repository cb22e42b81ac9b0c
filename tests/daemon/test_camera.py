from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.camera import MAX_ABANDONED, Camera
from oneglance.daemon.camera.frame_source import BadFrameError, FrameSource
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.camera.intake import MOST_FPS_TAKEN, CameraState
from oneglance.daemon.camera.reader import MAX_BAD_READS, OPEN_GRACE_S
from oneglance.daemon.camera.sources import open_source
from oneglance.errors import CameraError

Wait = Callable[[Callable[[], bool], str], None]


class Clock:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def running(
    opener: Callable[[CameraConfig], FrameSource],
    source: str = "0",
    *,
    clock: Callable[[], float] | None = None,
    pace: str = "real",
) -> Iterator[tuple[Camera, FrameExchange]]:
    exchange = FrameExchange(("cam",))
    config = CameraConfig.model_validate(
        {"name": "cam", "source": source, "pace": pace, "read_deadline_s": 1.0}
    )
    extra = {} if clock is None else {"clock_s": clock}
    camera = Camera(config, exchange["cam"], opener=opener, **extra)
    camera.start()
    try:
        yield camera, exchange
    finally:
        camera.stop()


def test_frames_come_and_the_camera_is_closed_at_the_end(
    fake_camera: type, wait_until: Wait
) -> None:
    fake = fake_camera()
    with running(lambda _: fake) as (camera, exchange):
        frames = exchange.take(20)
        assert [f.camera for f in frames] == ["cam"]
        assert frames[0].at_s == frames[0].captured_at_s
        wait_until(lambda: camera.state is CameraState.OK, "the camera is not ok")
    assert fake.closed


def test_a_camera_that_dies_is_lost_and_opened_again(fake_camera: type, wait_until: Wait) -> None:
    fakes = [fake_camera(), fake_camera()]
    opened = iter(fakes)
    plugged_in = threading.Event()
    plugged_in.set()

    def opener(_: CameraConfig) -> FrameSource:
        assert plugged_in.wait(20)
        source: FrameSource = next(opened)
        return source

    with running(opener) as (camera, exchange):
        wait_until(lambda: camera.state is CameraState.OK, "the first camera gave nothing")
        plugged_in.clear()
        fakes[0].dead = True
        wait_until(lambda: camera.state is CameraState.LOST, "its death was not noticed")
        assert str(camera.failure) == "fake: unplugged"
        plugged_in.set()
        wait_until(lambda: camera.state is CameraState.OK, "it was not opened again")
        assert camera.failure is None
        assert exchange.take(20)
    assert all(fake.closed for fake in fakes)


def test_a_camera_that_comes_back_under_another_number_is_found_by_its_lasting_name(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, wait_until: Wait
) -> None:
    """As /dev/v4l/by-id has it: a link that udev turns to the new device."""
    # Elsewhere a name is a recording's, which does not come back.
    folder = tempfile.TemporaryDirectory(dir="/dev/shm")
    request.addfinalizer(folder.cleanup)
    name = Path(folder.name) / "usb-Maker_Camera_1234-video-index0"
    name.symlink_to("/dev/null")
    shades = {Path("/dev/null"): 10, Path("/dev/zero"): 200}

    class Driver:
        """cv2's: what is opened is the device that the link leads to at that moment."""

        def __init__(self, target: str, *_: object) -> None:
            self._link, self._device = Path(target), Path(target).resolve()

        def isOpened(self) -> bool:  # noqa: N802
            return self._device in shades

        def get(self, what: int) -> float:
            sizes = {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}
            return sizes.get(what, 0.0)

        def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
            plugged_in = self._link.is_symlink() and self._link.resolve() == self._device
            time.sleep(0.01)
            pixels = np.full((48, 64, 3), shades[self._device], np.uint8)
            return plugged_in, pixels if plugged_in else None

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Driver)
    with running(open_source, str(name)) as (camera, exchange):
        wait_until(lambda: camera.state is CameraState.OK, "it gave nothing")
        name.unlink()
        wait_until(lambda: camera.state is CameraState.LOST, "that it was pulled was not noticed")
        name.symlink_to("/dev/zero")
        wait_until(lambda: camera.state is CameraState.OK, "it was not found again")
        wait_until(
            lambda: any(int(frame.pixels[0, 0, 0]) == 200 for frame in exchange.take(20)),
            "its pictures do not come from where it is now",
        )


def test_a_camera_that_cannot_be_opened_is_lost_and_tried_again(wait_until: Wait) -> None:
    attempts = []

    def opener(_: CameraConfig) -> FrameSource:
        attempts.append(1)
        raise CameraError("not there")

    with running(opener) as (camera, _):
        wait_until(lambda: len(attempts) >= 2, "no second attempt")
        assert camera.state is CameraState.LOST


def test_a_driver_that_fails_in_an_unforeseen_way_is_a_lost_camera(
    wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    def opener(_: CameraConfig) -> FrameSource:
        raise ZeroDivisionError("in the driver")

    with running(opener) as (camera, _):
        wait_until(lambda: camera.state is CameraState.LOST, "the failure was not noticed")
    assert "in the driver" in caplog.text


def test_a_read_that_blocks_past_its_deadline_is_replaced(
    fake_camera: type, wait_until: Wait
) -> None:
    fakes = [fake_camera(), fake_camera()]
    opened = iter(fakes)
    clock = Clock()
    with running(lambda _: next(opened), clock=clock) as (camera, exchange):
        wait_until(lambda: camera.state is CameraState.OK, "no frames")
        camera.watch()
        assert camera.state is CameraState.OK
        fakes[0].hang()
        wait_until(lambda: hangs(fakes[0]), "the read does not block")
        clock.now_s += 1.5
        camera.watch()
        assert camera.state is CameraState.LOST
        assert camera.failure is not None
        assert "no answer for 1 s" in str(camera.failure)
        assert exchange["cam"].waiting is None
        wait_until(lambda: camera.state is CameraState.OK, "it was not opened again")
        fakes[0].let_go()
        wait_until(lambda: fakes[0].closed, "the reader left behind did not close its camera")
        assert camera.state is CameraState.OK


def hangs(fake: object) -> bool:
    """Whether no read ends for a little while."""
    before = fake.reads  # type: ignore[attr-defined]
    threading.Event().wait(0.1)
    return bool(fake.reads == before)  # type: ignore[attr-defined]


def test_a_camera_that_hangs_too_often_is_left_alone_until_a_reader_comes_back(
    wait_until: Wait,
) -> None:
    clock = Clock()
    releases: list[threading.Event] = []

    def opener(_: CameraConfig) -> FrameSource:
        releases.append(threading.Event())
        releases[-1].wait(60)
        raise CameraError("at last")

    with running(opener, clock=clock) as (camera, _):
        try:
            for count in range(1, MAX_ABANDONED + 2):
                wait_until(lambda count=count: len(releases) == count, "no attempt to open")
                assert not camera.stuck
                clock.now_s += 1.0 + OPEN_GRACE_S + 0.5
                camera.watch()
            assert camera.stuck
            assert camera.state is CameraState.LOST
            assert "hangs again and again" in str(camera.failure)
            clock.now_s += 1000
            camera.watch()
            assert len(releases) == MAX_ABANDONED + 1
            releases[0].set()

            def opens_again() -> bool:
                camera.watch()
                return len(releases) == MAX_ABANDONED + 2

            wait_until(opens_again, "it was not opened again")
            assert not camera.stuck
        finally:
            for release in releases:
                release.set()


class Flaky:
    """A camera that gives each of `answers` in turn, as a picture or as what is raised."""

    fps: float | None = None

    def __init__(self, answers: Iterator[object]) -> None:
        self._answers = answers

    def read(self) -> NDArray[np.uint8] | None:
        threading.Event().wait(0.002)
        answer = next(self._answers, None)
        if answer is None:
            return None
        if isinstance(answer, CameraError):
            raise answer
        assert isinstance(answer, np.ndarray)
        return answer

    def close(self) -> None:
        pass


def grey(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


def bad(count: int) -> list[object]:
    return [BadFrameError("torn")] * count


def test_a_few_bad_frames_are_counted_and_lose_no_camera(wait_until: Wait) -> None:
    opened = []

    def opener(_: CameraConfig) -> FrameSource:
        opened.append(1)
        return Flaky(itertools.chain([grey()], bad(5), itertools.repeat(grey())))

    with running(opener) as (camera, _):
        wait_until(lambda: camera.captured > 3, "no frames")
        assert camera.complaints == ("camera_corrupt:cam",)
        assert (camera.faults.bad, len(opened)) == (5, 1)


def test_nothing_but_bad_frames_is_a_lost_camera_and_not_counted_as_bad(wait_until: Wait) -> None:
    def opener(_: CameraConfig) -> FrameSource:
        return Flaky(itertools.chain([grey()], bad(MAX_BAD_READS)))

    with running(opener) as (camera, _):
        wait_until(lambda: camera.state is CameraState.LOST, "the loss was not noticed")
        assert (camera.faults.bad, camera.complaints) == (0, ())


def test_a_change_of_size_is_complained_about(wait_until: Wait) -> None:
    def opener(_: CameraConfig) -> FrameSource:
        return Flaky(itertools.chain([grey()] * 3, itertools.repeat(grey(240, 320))))

    with running(opener) as (camera, exchange):
        wait_until(lambda: camera.complaints == ("camera_resized:cam",), "it was not noticed")
        wait_until(
            lambda: any(f.pixels.shape[0] == 240 for f in exchange.take(0.1)), "no small frames"
        )
        assert camera.faults.resized == 1


def test_far_too_many_frames_are_thinned_out_before_anybody_works_on_them(
    wait_until: Wait,
) -> None:
    clock = Clock()

    def pictures() -> Iterator[object]:
        for _ in range(100):
            clock.now_s += 1 / 100
            yield grey()
        yield CameraError("the end")

    answers = pictures()
    with running(lambda _: Flaky(answers), clock=clock) as (camera, _):
        wait_until(lambda: camera.state is CameraState.LOST, "no end")
        assert camera.captured + camera.skipped == 100
        assert 30 <= camera.captured <= MOST_FPS_TAKEN


def test_a_live_picture_that_is_repeated_is_handed_on_once(wait_until: Wait) -> None:
    first, second = grey(), grey() + np.uint8(1)
    shown = [first, first.copy(), first.copy(), second, first.copy(), CameraError("the end")]
    exchange = FrameExchange(("cam",))
    handed: list[int] = []
    exchange["cam"].put = lambda f: handed.append(int(f.pixels[0, 0, 0]))  # type: ignore[method-assign]
    clock = Clock()

    def pictures() -> Iterator[object]:
        for picture in shown:
            clock.now_s += 0.1
            yield picture

    answers = pictures()
    config = CameraConfig.model_validate({"name": "cam", "source": "0"})
    camera = Camera(config, exchange["cam"], opener=lambda _: Flaky(answers), clock_s=clock)
    camera.start()
    try:
        wait_until(lambda: camera.state is CameraState.LOST, "no end")
    finally:
        camera.stop()
    assert handed == [90, 91, 90]
    assert (camera.captured, camera.faults.repeated) == (5, 2)


def test_a_recording_may_hold_still(wait_until: Wait) -> None:
    def opener(_: CameraConfig) -> FrameSource:
        still = Flaky(iter([grey()] * 3))
        still.fps = 10.0
        return still

    with running(opener, "still.avi", pace="every") as (camera, exchange):
        taken: list[Frame] = []

        def take() -> bool:
            taken.extend(exchange.take(0.01))
            return camera.captured == 3 and exchange.idle

        wait_until(take, "it was not watched to its end")
    assert len(taken) == 3


def test_a_recording_ends_instead_of_being_opened_again(
    film: Callable[..., Path], wait_until: Wait
) -> None:
    from oneglance.daemon.camera.sources import open_source

    with running(open_source, str(film(5)), pace="every") as (camera, exchange):
        taken: list[Frame] = []

        def take() -> bool:
            taken.extend(exchange.take(0.01))
            return camera.state is CameraState.ENDED and exchange.idle

        wait_until(take, "the recording did not end")
    assert [f.index for f in taken] == [0, 1, 2, 3, 4]
    assert [f.at_s for f in taken] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert exchange.dropped == 0


def test_at_its_own_pace_a_recording_drops_what_nobody_takes(
    film: Callable[..., Path], wait_until: Wait
) -> None:
    from oneglance.daemon.camera.sources import open_source

    with running(open_source, str(film(5)), pace="real") as (camera, exchange):
        wait_until(lambda: camera.state is CameraState.ENDED, "the recording did not end")
        assert [f.index for f in exchange.take(1)] == [4]
        assert exchange.dropped == 4


def test_an_unreadable_recording_is_lost_for_good(tmp_path: Path, wait_until: Wait) -> None:
    from oneglance.daemon.camera.sources import open_source

    with running(open_source, str(tmp_path / "none.mp4")) as (camera, _):
        wait_until(lambda: camera.state is CameraState.LOST, "its absence was not noticed")
        assert camera.failure is not None
