"""The vision thread: takes the newest frames, sees, decides, and feeds the watchdog by doing so."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oneglance.clocks import Clocks
from oneglance.contract.messages import Phase
from oneglance.daemon.access.entrance import Entrance, News
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.gallery.keeper import GalleryKeeper
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.visit.claims import Claim
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.report import StepReport, TrackView
from oneglance.daemon.voice.outlet import Outlet
from oneglance.faces.gallery.person import Snapshot
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)

# Without frames the loop still looks around this often.
TICK_S = 0.25
# How much larger than a face its snapshot is.
FACE_MARGIN = 1.6


class Vision(threading.Thread):
    """Runs until `stop`, or until it fails; then `crash` holds why and `ended` is set either way.

    Without an `outlet` it only counts; without a `gallery` it never judges; without an `entrance`
    nobody is claimed, and failures cost nothing.
    """

    def __init__(
        self,
        exchange: FrameExchange,
        pipeline: Pipeline,
        notifier: Notifier,
        clocks: Clocks,
        *,
        gallery: GalleryKeeper | None,
        outlet: Outlet | None,
        entrance: Entrance | None = None,
        on_step: Callable[[StepReport], None] | None = None,
    ) -> None:
        super().__init__(name="vision", daemon=True)
        self._exchange = exchange
        self._pipeline = pipeline
        self._notifier = notifier
        self._clocks = clocks
        self._gallery = gallery
        self._outlet = outlet
        self._entrance = entrance
        self._claim: Claim | None = None
        self._under_way: Snapshot | None = None
        self._on_step = on_step
        self._stopping = threading.Event()
        self._version = 0
        self._fed_at_s = float("-inf")
        # When the loop last came round, on the monotonic clock; None before it first did.
        self.turned_at_s: float | None = None
        self.ended = threading.Event()
        self.crash: BaseException | None = None
        self.accepted = 0
        # By reason; read in any thread, of which each entry is one number.
        self.rejected_for: Counter[str] = Counter()
        # Likewise, of visits that ended before the rejection.
        self.broken_off_for: Counter[str] = Counter()

    @property
    def rejected(self) -> int:
        """How many visits were rejected, whatever for."""
        return self.rejected_for.total()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why nobody can be let in now, as status reasons."""
        found = [self._gallery.held.problem if self._gallery else ""]
        found.append(self._outlet.problem if self._outlet else "")
        found.append(self._pipeline.problem)
        found.append(self._entrance.problem if self._entrance else "")
        return tuple(dict.fromkeys(problem for problem in found if problem))

    def run(self) -> None:
        """The loop.

        An exception that escapes it ends the process: a blind door must not look alive.
        """
        try:
            while not self._stopping.is_set():
                self.turn()
        except BaseException as error:
            self.crash = error
        finally:
            self.ended.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the loop; one that hangs in an inference is left behind."""
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
            if self.is_alive():
                log.error("the vision thread hangs and is left behind")

    def turn(self) -> None:
        """One round of the loop: waits at most TICK_S for a frame, and lets verdicts leave."""
        frames, snapshot = self._take()
        self._send(self._step(frames, snapshot))
        self._progressed()

    def _take(self) -> tuple[list[Frame], Snapshot | None]:
        """The newest frames, as soon as there are any, and the gallery of this moment."""
        frames = self._exchange.take(TICK_S)
        if self._gallery is None:
            return frames, None
        held = self._gallery.held
        if held.version != self._version:
            self._version = held.version
            self._pipeline.drop_evidence()
        return frames, self._admitted(held.snapshot)

    def _admitted(self, snapshot: Snapshot | None) -> Snapshot | None:
        """The gallery to compare faces with now, which depends on claims and waits."""
        if self._entrance is None:
            return snapshot
        standing = self._entrance.turn(snapshot)
        self._claim, self._under_way = standing.claim, standing.under_way
        if News.REGATHER in standing.news:
            self._pipeline.drop_evidence()
        if News.RENEW in standing.news:
            self._pipeline.renew()
        if News.RETRY in standing.news:
            self._pipeline.renew(decided=True)
        if News.WAIT_OVER in standing.news:
            self._pipeline.wait_is_over()
        return standing.gallery

    def _step(self, frames: list[Frame], snapshot: Snapshot | None) -> list[StepReport]:
        """What the frames amount to; a visit whose decision was lost may reach another."""
        if self._outlet is not None:
            for visit_id in self._outlet.turn():
                self._pipeline.reopen(visit_id)
        if not frames:
            return []
        return self._pipeline.step(frames, snapshot, self._claim, under_way=self._under_way)

    def _send(self, reports: list[StepReport]) -> None:
        """Let verdicts leave, count those that may, and tell the screen."""
        for report in reports:
            for one in report.broken_off:
                # Whoever goes in with somebody else must raise no alarm.
                if self._entrance is None or self._entrance.broke_off(one.reason):
                    self.broken_off_for[one.reason] += 1
                    log.info("visit %s: broken off, %s", one.visit_id, one.reason)
            for view in report.tracks:
                # While nobody can be accepted, a claim that runs out says nothing about whoever
                # made it.
                judged = view.phase is Phase.CHECKING and not self._pipeline.problem
                if self._entrance is not None and judged:
                    self._entrance.tried(self._claim)
                if view.prompt is not None and self._outlet is not None:
                    self._outlet.ask(view.prompt)
                if view.verdict is not None:
                    self._conclude(view.verdict, _face(report.frame, view))
            if self._on_step is not None:
                self._on_step(report)
        if self._entrance is not None and self._pipeline.challenged:
            self._entrance.hold()
        if self._outlet is not None:
            self._outlet.show(reports)
            if self._entrance is not None:
                self._outlet.tell(self._entrance.say(self._clocks.wall()))

    def _conclude(self, verdict: Verdict, face: NDArray[np.uint8]) -> None:
        if self._entrance is not None:
            self._entrance.concluded(verdict, self._claim)
        if self._outlet is not None and not self._left(verdict, self._outlet, face):
            self._pipeline.reopen(verdict.visit_id)
            return
        if verdict.accepted:
            self.accepted += 1
        else:
            self.rejected_for[verdict.reason] += 1
        outcome = "accepted" if verdict.accepted else f"rejected, {verdict.reason}"
        log.info("visit %s: %s, score %.2f", verdict.visit_id, outcome, verdict.score)

    def _left(self, verdict: Verdict, outlet: Outlet, face: NDArray[np.uint8]) -> bool:
        held = self._gallery.held if self._gallery is not None else None
        if held is not None and held.version != self._version:
            # Somebody may have been deleted while the encoder was at work.
            return False
        names = held.snapshot.names if held is not None and held.snapshot is not None else {}
        return outlet.send(verdict, names, face)

    def _progressed(self) -> None:
        period_s = self._notifier.watchdog_period_s
        self.turned_at_s = now_s = self._clocks.monotonic_s()
        if period_s is not None and now_s - self._fed_at_s >= period_s / 2:
            self._fed_at_s = now_s
            self._notifier.watchdog()


def _face(frame: Frame, view: TrackView) -> NDArray[np.uint8]:
    """The part of a frame that shows a face and its close surroundings."""
    box = view.box.scaled(FACE_MARGIN)
    left, top = max(0, int(box.x)), max(0, int(box.y))
    return frame.pixels[top : int(box.y + box.height), left : int(box.x + box.width)]
