"""One camera: read in its own thread, watched from outside, opened again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frame_source import FrameSource
from oneglance.daemon.camera.frames import LatestFrame
from oneglance.daemon.camera.health import Faults
from oneglance.daemon.camera.intake import CameraState, Intake
from oneglance.daemon.camera.reader import REOPEN_MIN_S, Reader
from oneglance.daemon.camera.sources import open_source, shown_name
from oneglance.errors import CameraError

log = logging.getLogger(__name__)

# Readers that hang in the driver cannot be ended, only left behind. With more than these, none is
# added until one comes back.
MAX_ABANDONED = 3


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
        self._intake = Intake(config, slot, clock_s)
        self._opener = opener
        self._clock_s = clock_s
        self._stopping = threading.Event()
        self._abandoned: list[Reader] = []
        self._reader = self._new_reader(0.0)
        self._replaced = False

    @property
    def state(self) -> CameraState:
        """Whether frames come."""
        return self._intake.state

    @property
    def failure(self) -> CameraError | None:
        """Why no frames come; None while they do."""
        return self._intake.failure

    @property
    def captured(self) -> int:
        """How many frames were handed on."""
        return self._intake.captured

    @property
    def skipped(self) -> int:
        """How many pictures came too soon after the one before."""
        return self._intake.skipped

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the frames that come, as status reasons; empty if none come."""
        return self._intake.complaints

    @property
    def faults(self) -> Faults:
        """What has gone wrong with its frames since the start."""
        return self._intake.faults

    def start(self) -> None:
        """Begin to open and read, in the background."""
        self._reader.start()

    @property
    def stuck(self) -> bool:
        """Whether so many readers hang in its driver that it is left alone until one comes back."""
        return len(self._abandoned) > MAX_ABANDONED

    def watch(self) -> None:
        """Replace a reader that has hung past its deadline, unless too many hang already."""
        if self._stopping.is_set() or self.state is CameraState.ENDED:
            return
        if self._clock_s() > self._reader.due_s:
            self._leave_behind()
        self._abandoned = [reader for reader in self._abandoned if reader.is_alive()]
        if self._replaced and not self.stuck:
            self._replaced = False
            self._reader.start()

    def _leave_behind(self) -> None:
        hung, self._reader = self._reader, self._new_reader(REOPEN_MIN_S)
        hung.give_up()
        self._abandoned.append(hung)
        self._replaced = True
        what, fix = "no answer for {:g} s", "check its cable or network; it is opened again"
        if self.stuck:
            what = "hangs again and again, at last for {:g} s"
            fix = "unplug it and plug it in again"
        self._intake.lost(
            CameraError(
                what.format(self.config.read_deadline_s),
                where=f"camera {self.name} ({shown_name(self.config.source)})",
                fix=fix,
            )
        )

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close the camera; a reader that hangs is left behind."""
        self._stopping.set()
        if self._reader.ident is not None:
            self._reader.join(timeout_s)
            if self._reader.is_alive():
                log.warning("camera %s: its reader hangs and is left behind", self.name)

    def _new_reader(self, delay_s: float) -> Reader:
        return Reader(
            self.config,
            self._intake,
            opener=self._opener,
            clock_s=self._clock_s,
            stopping=self._stopping,
            delay_s=delay_s,
        )
