"""Keeps the gallery in memory up to date, in a thread of its own, so that the loop never waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.errors import OneglanceError
from oneglance.faces.gallery.person import Snapshot

log = logging.getLogger(__name__)

# How soon a command is answered; the watch itself checks less often.
TURN_S = 0.05
# A keeper that has not come round for this long is stuck, or busy with something huge. What it had
# may have expired or been deleted since, so nobody counts until it comes round again.
STUCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """The gallery at one moment; if nobody counts, `snapshot` is None and `problem` says why.

    `version` differs whenever `snapshot` does.
    """

    snapshot: Snapshot | None
    version: int
    problem: str


class GalleryKeeper(threading.Thread):
    """Looks after `watch`, which belongs to this thread once that is started, and calls `work`.

    While `shut` gives a reason, nobody counts, whatever the gallery holds. The gallery is replaced
    in one step: `held` is either the old one or the new one, never a mixture.
    """

    def __init__(
        self,
        watch: GalleryWatch,
        clock_s: Callable[[], float],
        work: Callable[[], None] = lambda: None,
        shut: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(name="gallery", daemon=True)
        self._watch = watch
        self._clock_s = clock_s
        self._work = work
        self._shut = shut
        self._stopping = threading.Event()
        self._came_round_s = clock_s()
        self._seen: tuple[int, str, str] | None = None
        self._held = Held(None, 0, "gallery_error")
        self._publish()
        self.crash: BaseException | None = None

    @property
    def held(self) -> Held:
        """What counts now. Raises the error that ended the thread, if one did."""
        if self.crash is not None:
            raise self.crash
        held = self._held
        if self._clock_s() - self._came_round_s > STUCK_S:
            return Held(None, -held.version - 1, "gallery_error")
        return held

    def run(self) -> None:
        """Look and work until `stop`."""
        try:
            while not self._stopping.is_set():
                self._watch.refresh(self._clock_s())
                self._publish()
                self._work()
                self._publish()
                self._came_round_s = self._clock_s()
                self._stopping.wait(TURN_S)
        except BaseException as error:
            self.crash = error
        finally:
            try:
                self._watch.close()
            except OneglanceError as error:
                log.warning("%s", error)

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; one that is stuck in the file system is left behind."""
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
            if self.is_alive():
                log.error("the gallery's thread hangs and is left behind")

    def _publish(self) -> None:
        watch, shut = self._watch, self._shut()
        seen = watch.version, watch.problem, shut
        if seen != self._seen:
            self._seen = seen
            snapshot = None if shut else watch.snapshot
            self._held = Held(snapshot, self._held.version + 1, shut or watch.problem)
            log.debug("the gallery that counts was replaced")
