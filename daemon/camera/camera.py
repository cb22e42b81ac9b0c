"""One camera: read in its own thread, watched from outside, opened again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frames import Frame, LatestFrame
from oneglance.daemon.camera.health import CameraHealth, Faults
from oneglance.daemon.camera.sources import (
    BadFrameError,
    FrameSource,
    is_recording,
    open_source,
    shown_name,
)
from oneglance.errors import CameraError

log = logging.getLogger(__name__)

# A camera is back within seconds of being plugged in; a dead one is not stormed.
REOPEN_MIN_S = 0.5
REOPEN_MAX_S = 15.0
# Readers that hang in the driver cannot be ended, only left behind. More than these, and only a
# new process helps.
MAX_ABANDONED = 3
# Opening may take longer than one read: a stream waits for its first key frame.
OPEN_GRACE_S = 10.0
# A stream that lost a packet is whole again with the next picture; one that gives none for so
# many reads, or so long, is opened anew.
MAX_BAD_READS = 30
MAX_BAD_S = 2.0
# More frames a second than this only cost power: no decision is quicker for them.
MOST_FPS_TAKEN = 40.0


class CameraState(StrEnum):
    """Whether frames come."""

    OPENING = "opening"
    OK = "ok"
    LOST = "lost"
    ENDED = "ended"


class Camera:
    """Reads `config.source` into `slot` until `stop`; `state` tells how it goes.

    `watch` must be called a few times a second by the owner: it leaves a hanging reader behind
    and starts another.
    """

    def __init__(
        self,
        config: CameraConfig,
        slot: LatestFrame,
        *,
        opener: Callable[[CameraConfig], FrameSource] = open_source,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.name = config.name
        self.failure: CameraError | None = None
        self.state = CameraState.OPENING
        self.captured = 0
        self.skipped = 0
        self._health = CameraHealth(paced=not is_recording(config))
        self._health_lock = threading.Lock()
        self._slot = slot
        self._opener = opener
        self._clock_s = clock_s
        self._stopping = threading.Event()
        self._abandoned: list[_Reader] = []
        self._reader = _Reader(self, 0.0)

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the frames that come, as status reasons; nothing if none come."""
        if self.state is not CameraState.OK:
            return ()
        with self._health_lock:
            return tuple(f"{r}:{self.name}" for r in self._health.reasons(self._clock_s()))

    @property
    def faults(self) -> Faults:
        """What has gone wrong with its frames since the start."""
        return self._health.faults

    def start(self) -> None:
        """Begin to open and read, in the background."""
        self._reader.start()

    def watch(self) -> None:
        """Replace a reader that has hung past its deadline.

        Raises CameraError when too many hang: then only a restart of the process helps.
        """
        if self._stopping.is_set() or self.state is CameraState.ENDED:
            return
        if self._clock_s() <= self._reader.due_s:
            return
        hung, self._reader = self._reader, _Reader(self, REOPEN_MIN_S)
        self._abandoned = [r for r in [*self._abandoned, hung] if r.is_alive()]
        if len(self._abandoned) > MAX_ABANDONED:
            raise CameraError(
                f"hangs again and again ({len(self._abandoned)} readers are stuck in its driver)",
                where=f"camera {self.name}",
                fix="unplug it and plug it in again",
            )
        self.lost(
            CameraError(
                f"no answer for {self.config.read_deadline_s:g} s",
                where=f"camera {self.name} ({shown_name(self.config.source)})",
                fix="check its cable or network; it is opened again",
            )
        )
        self._reader.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close the camera; a reader that hangs is left behind."""
        self._stopping.set()
        if self._reader.ident is not None:
            self._reader.join(timeout_s)
            if self._reader.is_alive():
                log.warning("camera %s: its reader hangs and is left behind", self.name)

    def lost(self, failure: CameraError) -> None:
        """Note that no frames come; whoever watches the state decides what to say about it."""
        log.debug("camera %s: %s", self.name, failure)
        self.failure = failure
        self.state = CameraState.LOST
        self._slot.clear()


class _Reader(threading.Thread):
    """One attempt after another to open and read, until it is stopped or replaced."""

    def __init__(self, camera: Camera, delay_s: float) -> None:
        super().__init__(name=f"camera-{camera.name}", daemon=True)
        self._camera = camera
        self._delay_s = delay_s
        # Until when it must have shown a sign of life; infinite while nobody can make it hang.
        self.due_s = float("inf")

    def _is_current(self) -> bool:
        return self._camera._reader is self and not self._camera._stopping.is_set()

    def run(self) -> None:
        camera = self._camera
        pause_s = self._delay_s
        while self._is_current() and not camera._stopping.wait(pause_s):
            before = camera.captured
            try:
                ended = self._read_all()
            except CameraError as error:
                if not self._is_current():
                    return
                camera.lost(error)
            except Exception as error:
                # An unforeseen failure of a driver is a lost camera, not a silent one.
                log.exception("camera %s", camera.name)
                if self._is_current():
                    camera.lost(CameraError(f"failed: {error}", where=f"camera {camera.name}"))
            else:
                if ended and self._is_current():
                    camera.state = CameraState.ENDED
                return
            self.due_s = float("inf")
            if is_recording(camera.config):
                return
            worked = camera.captured > before
            pause_s = REOPEN_MIN_S if worked else min(max(2 * pause_s, REOPEN_MIN_S), REOPEN_MAX_S)

    def _read_all(self) -> bool:
        """Open and read; True at the end of a recording, False if stopped or replaced."""
        camera = self._camera
        self.due_s = camera._clock_s() + camera.config.read_deadline_s + OPEN_GRACE_S
        source = camera._opener(camera.config)
        try:
            started_s = camera._clock_s()
            with camera._health_lock:
                camera._health.opened()
            index = 0
            handed_over_s = float("-inf")
            while self._is_current():
                pixels = self._read_one(source)
                if pixels is None:
                    return True
                if source.fps is None:
                    if 0 <= camera._clock_s() - handed_over_s < 1 / MOST_FPS_TAKEN:
                        camera.skipped += 1
                        continue
                    handed_over_s = camera._clock_s()
                at_s = None if source.fps is None else index / source.fps
                if not self._is_current() or not self._pace(at_s, started_s):
                    return False
                now_s = camera._clock_s()
                frame = Frame(pixels, now_s, now_s if at_s is None else at_s, index, camera.name)
                index += 1
                camera.captured += 1
                if camera.state is not CameraState.OK:
                    log.info("camera %s: %d x %d", camera.name, *reversed(pixels.shape[:2]))
                    camera.state, camera.failure = CameraState.OK, None
                with camera._health_lock:
                    is_new = camera._health.is_new(pixels, now_s)
                if is_new:
                    camera._slot.put(frame)
            return False
        finally:
            # Closing a dead stream can hang as well as reading it.
            self.due_s = camera._clock_s() + camera.config.read_deadline_s
            source.close()
            self.due_s = float("inf")

    def _read_one(self, source: FrameSource) -> NDArray[np.uint8] | None:
        """The next picture that is one; None at the end of a recording."""
        camera = self._camera
        bad, since_s = 0, 0.0
        while True:
            self.due_s = camera._clock_s() + camera.config.read_deadline_s
            try:
                pixels = source.read()
            except BadFrameError:
                bad += 1
                since_s = since_s if bad > 1 else camera._clock_s()
                bearable = bad < MAX_BAD_READS and 0 <= camera._clock_s() - since_s <= MAX_BAD_S
                if not bearable or not self._is_current():
                    raise
                continue
            self.due_s = float("inf")
            if pixels is not None:
                now_s = camera._clock_s()
                with camera._health_lock:
                    # What no picture follows is a lost camera, not a bad frame.
                    if bad:
                        camera._health.bad_frames(bad, now_s)
                    camera._health.frame(pixels, now_s)
            return pixels

    def _pace(self, at_s: float | None, started_s: float) -> bool:
        """Wait until a recorded frame's time has come; False if stopped meanwhile."""
        camera = self._camera
        if at_s is None:
            return True
        if camera.config.pace == "every":
            return camera._slot.wait_idle(lambda: not self._is_current())
        early_s = started_s + at_s - camera._clock_s()
        return early_s <= 0 or not camera._stopping.wait(early_s)
