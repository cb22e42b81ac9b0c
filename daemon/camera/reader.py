"""The thread that opens one camera and reads it, again and again, until it is told to leave off."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frame_source import BadFrameError, FrameSource
from oneglance.daemon.camera.intake import Intake
from oneglance.daemon.camera.sources import is_recording
from oneglance.errors import CameraError

log = logging.getLogger(__name__)

# A camera is back within seconds of being plugged in; a dead one is not stormed.
REOPEN_MIN_S = 0.5
REOPEN_MAX_S = 15.0
# Opening may take longer than one read: a stream waits for its first key frame.
OPEN_GRACE_S = 10.0
# A stream that lost a packet is whole again with the next picture; one that gives none for so
# many reads, or so long, is opened anew.
MAX_BAD_READS = 30
MAX_BAD_S = 2.0


class Reader(threading.Thread):
    """One attempt after another to open and read, the first after `delay_s`.

    It ends when `stopping` is set, or when it was given up: whatever it does then, in a driver that
    hangs, counts for nothing. `due_s` is when it must have shown a sign of life; infinite while
    nothing can make it hang.
    """

    def __init__(
        self,
        config: CameraConfig,
        intake: Intake,
        *,
        opener: Callable[[CameraConfig], FrameSource],
        clock_s: Callable[[], float],
        stopping: threading.Event,
        delay_s: float,
    ) -> None:
        super().__init__(name=f"camera-{config.name}", daemon=True)
        self.due_s = float("inf")
        self._config = config
        self._intake = intake
        self._opener = opener
        self._clock_s = clock_s
        self._stopping = stopping
        self._delay_s = delay_s
        self._given_up = False

    def give_up(self) -> None:
        """Give this reader up: another one reads in its place from now on."""
        self._given_up = True

    def run(self) -> None:
        """Open and read; what fails is told to the intake, and tried again."""
        intake, name = self._intake, self._config.name
        pause_s = self._delay_s
        while self._is_current() and not self._stopping.wait(pause_s):
            before = intake.captured
            try:
                ended = self._read_all()
            except CameraError as error:
                if not self._is_current():
                    return
                intake.lost(error)
            except Exception as error:
                # An unforeseen failure of a driver is a lost camera, not a silent one.
                log.exception("camera %s", name)
                if self._is_current():
                    intake.lost(CameraError(f"failed: {error}", where=f"camera {name}"))
            else:
                if ended and self._is_current():
                    intake.ended()
                return
            self.due_s = float("inf")
            if is_recording(self._config):
                return
            worked = intake.captured > before
            pause_s = REOPEN_MIN_S if worked else min(max(2 * pause_s, REOPEN_MIN_S), REOPEN_MAX_S)

    def _is_current(self) -> bool:
        return not self._given_up and not self._stopping.is_set()

    def _read_all(self) -> bool:
        """Open and read; True at the end of a recording, False if stopped or given up."""
        self.due_s = self._clock_s() + self._config.read_deadline_s + OPEN_GRACE_S
        source = self._opener(self._config)
        try:
            started_s = self._clock_s()
            index = 0
            if self._is_current():
                self._intake.opened()
            while self._is_current():
                pixels = self._read_one(source)
                if pixels is None:
                    return True
                if not self._is_current():
                    return False
                if source.fps is None and not self._intake.admit():
                    continue
                at_s = None if source.fps is None else index / source.fps
                if not self._pace(at_s, started_s):
                    return False
                self._intake.take(pixels, at_s, index)
                index += 1
            return False
        finally:
            # Closing a dead stream can hang as well as reading it.
            self.due_s = self._clock_s() + self._config.read_deadline_s
            source.close()
            self.due_s = float("inf")

    def _read_one(self, source: FrameSource) -> NDArray[np.uint8] | None:
        """The next picture that is one; None at the end of a recording."""
        bad, since_s = 0, 0.0
        while True:
            self.due_s = self._clock_s() + self._config.read_deadline_s
            try:
                pixels = source.read()
            except BadFrameError:
                bad += 1
                since_s = since_s if bad > 1 else self._clock_s()
                bearable = bad < MAX_BAD_READS and 0 <= self._clock_s() - since_s <= MAX_BAD_S
                if not bearable or not self._is_current():
                    raise
                continue
            self.due_s = float("inf")
            if pixels is not None and self._is_current():
                self._intake.picture(pixels, bad_before=bad)
            return pixels

    def _pace(self, at_s: float | None, started_s: float) -> bool:
        """Wait until a recorded frame's time has come; False if stopped meanwhile."""
        if at_s is None:
            return True
        if self._config.pace == "every":
            return self._intake.wait_idle(lambda: not self._is_current())
        early_s = started_s + at_s - self._clock_s()
        return early_s <= 0 or not self._stopping.wait(early_s)
