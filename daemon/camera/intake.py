"""What one camera has given so far, and the slot that takes its newest frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frames import Frame, LatestFrame
from oneglance.daemon.camera.health import CameraHealth, Faults
from oneglance.daemon.camera.sources import is_recording
from oneglance.errors import CameraError

log = logging.getLogger(__name__)

# More frames a second than this only cost power: no decision is quicker for them.
MOST_FPS_TAKEN = 40.0


class CameraState(StrEnum):
    """Whether frames come."""

    OPENING = "opening"
    OK = "ok"
    LOST = "lost"
    ENDED = "ended"


class Intake:
    """One camera's frames on their way in: state, counts and health.

    Written by one reader at a time, read in any thread. Only the reader that its camera still
    counts on may write: it knows.
    """

    def __init__(
        self, config: CameraConfig, slot: LatestFrame, clock_s: Callable[[], float]
    ) -> None:
        self.state = CameraState.OPENING
        self.failure: CameraError | None = None
        self.captured = 0
        self.skipped = 0
        self._name = config.name
        self._slot = slot
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._health = CameraHealth(paced=not is_recording(config))
        self._taken_at_s = float("-inf")

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the frames that come, as status reasons; nothing if none come."""
        if self.state is not CameraState.OK:
            return ()
        with self._lock:
            return tuple(f"{r}:{self._name}" for r in self._health.reasons(self._clock_s()))

    @property
    def faults(self) -> Faults:
        """What has gone wrong with its frames since the start."""
        return self._health.faults

    def opened(self) -> None:
        """The camera was opened, for the first time or again."""
        self._taken_at_s = float("-inf")
        with self._lock:
            self._health.opened()

    def picture(self, pixels: NDArray[np.uint8], *, bad_before: int) -> None:
        """A picture was read, uint8 (H, W, 3) BGR, after so many reads that gave none."""
        now_s = self._clock_s()
        with self._lock:
            # If no picture follows, it is a lost camera, not a bad frame.
            if bad_before:
                self._health.bad_frames(bad_before, now_s)
            self._health.frame(pixels, now_s)

    def admit(self) -> bool:
        """Let a live camera's next picture in, unless it comes too soon: then it is skipped."""
        now_s = self._clock_s()
        if 0 <= now_s - self._taken_at_s < 1 / MOST_FPS_TAKEN:
            self.skipped += 1
            return False
        self._taken_at_s = now_s
        return True

    def take(self, pixels: NDArray[np.uint8], at_s: float | None, index: int) -> None:
        """Hand a picture on as frame `index`; `at_s` is its place in a recording, None if live."""
        now_s = self._clock_s()
        frame = Frame(pixels, now_s, now_s if at_s is None else at_s, index, self._name)
        self.captured += 1
        if self.state is not CameraState.OK:
            log.info("camera %s: %d x %d", self._name, *reversed(pixels.shape[:2]))
            self.state, self.failure = CameraState.OK, None
        with self._lock:
            is_new = self._health.is_new(pixels, now_s)
        if is_new:
            self._slot.put(frame)

    def wait_idle(self, stopped: Callable[[], bool]) -> bool:
        """Wait until all frames have been processed. False if `stopped()` became true first."""
        return self._slot.wait_idle(stopped)

    def lost(self, failure: CameraError) -> None:
        """Note that no frames come; whoever watches the state decides what to say about it."""
        log.debug("camera %s: %s", self._name, failure)
        self.failure = failure
        self.state = CameraState.LOST
        self._slot.clear()

    def ended(self) -> None:
        """The recording has come to its end."""
        self.state = CameraState.ENDED
