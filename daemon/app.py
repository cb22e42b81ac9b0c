"""The daemon's life: build the parts, start them, watch them, stop them in reverse.

    cameras -> FrameExchange -> Vision (Pipeline: find, track, encode, judge) -> Issuer -> Publisher

Start reading here; each part stands in the module of its name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.daemon.access.entrance import Entrance
from oneglance.daemon.build import (
    build_outlet,
    build_pipeline,
    build_scribe,
    credential_watch,
    open_audit,
    open_entrance,
    open_gallery,
    open_sequence,
    stranger_keeper,
)
from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.devices import check_distinct
from oneglance.daemon.camera.frames import FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.gallery.credential_watch import CredentialWatch
from oneglance.daemon.gallery.keeper import GalleryKeeper
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.daemon.gallery.strangers import StrangerKeeper
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.pipeline import STAGES
from oneglance.daemon.standing import Notice
from oneglance.daemon.supervise import supervise
from oneglance.daemon.totals import Tally, Totals
from oneglance.daemon.vision import Vision
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.outlet import Outlet
from oneglance.errors import ConfigError
from oneglance.heap import GivingBack
from oneglance.sdnotify import Notifier
from oneglance.timing import StageTimes

# A broker that starts at the same time as we do is usually up by then.
BROKER_WAIT_S = 3.0
# How long after the last face a visit is over (TRACK_KEPT_S of sight/watcher.py), and a moment
# more.
QUIET_S = 2.0


class Daemon:
    """One door's daemon. `run` works in the calling thread; `stop` may come from any other.

    `started` is whether all its parts could be built.

    Without `mqtt` nothing leaves this process, without `gallery` nobody is judged and frames are
    only counted. `on_step` gets each frame with what was seen in it, in the vision thread, which
    waits for it. `times` gathers what the stages of the loop take.
    """

    def __init__(
        self,
        config: Config,
        *,
        mqtt: bool = True,
        gallery: bool = True,
        on_step: Callable[[StepReport], None] | None = None,
        times: StageTimes | None = None,
    ) -> None:
        if not config.camera:
            raise ConfigError("no camera is configured", where="camera", fix="add a [[camera]]")
        check_distinct(config.camera)
        if mqtt and not gallery:
            raise ConfigError("decisions need a gallery", fix="run without MQTT to only count")
        self._config = config
        self._with_mqtt = mqtt
        self._with_gallery = gallery
        self._on_step = on_step
        self._times = times
        self._stopping = threading.Event()
        self._giving_way = threading.Event()
        self.outlet: Outlet | None = None
        self.started = False
        self._clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)

    def stop(self) -> None:
        """Ask `run` to end cleanly."""
        self._stopping.set()

    def give_way(self) -> None:
        """Ask `run` to end as soon as nobody is at the door, as another daemon follows."""
        self._giving_way.set()

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached at this moment."""
        return self.outlet is not None and self.outlet.publisher.link.connected

    def run(self) -> Totals:
        """Work until `stop` or the end of all recordings; returns the totals.

        Raises OneglanceError when a part cannot start or work on, and whatever made the vision
        thread fail. All parts are stopped, and `offline` is published, either way.
        """
        notifier, tally, notice = Notifier(), Tally(self._on_step), Notice()
        port = self._config.metrics.port
        times = StageTimes(STAGES) if self._times is None and port is not None else self._times
        on_stage = None if times is None else times.add
        with ExitStack() as parts:
            model, pipeline = build_pipeline(
                *(self._config, self._clocks, on_stage), at_door=self._with_gallery
            )
            watch: GalleryWatch | None = None
            outlet: Outlet | None = None
            strangers: StrangerKeeper | None = None
            entrance: Entrance | None = None
            credentials: CredentialWatch | None = None
            shared: Sharing | None = None
            if self._with_mqtt:
                sequence = parts.enter_context(open_sequence(self._config, self._clocks))
                scribe = build_scribe(self._config, model, self._clocks)
                watch = open_gallery(self._config, model, self._clocks, scribe, claims=True)
                strangers = stranger_keeper(self._config, model, self._clocks)
                if strangers is not None:
                    pipeline.on_stranger = strangers.met
                entrance = open_entrance(self._config, model, scribe, self._clocks)
                credentials = credential_watch(self._config, scribe)
                outlet, shared = build_outlet(
                    *(self._config, model, watch, entrance, sequence, scribe, self._clocks),
                    challenges=pipeline.challenges,
                    notice=notice,
                )
                self.outlet = outlet
                # Whether they count is told from the start on.
                credentials.work(self._clocks.monotonic_s())
                parts.push(_farewell(outlet))
                parts.callback(outlet.desk.stop)
                outlet.desk.start()
                parts.callback(outlet.preview.stop)
                outlet.preview.start()
                outlet.publisher.start(BROKER_WAIT_S)
            elif self._with_gallery:
                audit = open_audit(self._config, self._clocks)
                watch = open_gallery(self._config, model, self._clocks, audit)
            exchange = FrameExchange(tuple(camera.name for camera in self._config.camera))
            keeper = _keeper(watch, outlet, credentials, strangers, shared, self._clocks)
            if keeper is not None:
                parts.callback(keeper.stop)
            vision = Vision(
                *(exchange, pipeline, notifier, self._clocks),
                gallery=keeper,
                outlet=outlet,
                entrance=entrance,
                on_step=tally.step,
            )
            parts.callback(vision.stop)
            cameras = [Camera(config, exchange[config.name]) for config in self._config.camera]
            for camera in cameras:
                parts.callback(camera.stop)
            if port is not None and times is not None:
                # Here only, as importing it costs time and memory that a small door may not have.
                from oneglance.daemon.metrics import Parts, served

                figures = Parts(cameras, exchange, pipeline.counts, vision, times, tally, notice)
                parts.enter_context(served(figures, port, self._clocks.monotonic_s))
            parts.callback(self._tell_the_end, notifier)
            started_s = self._clocks.monotonic_s()
            if keeper is not None:
                keeper.start()
            vision.start()
            for camera in cameras:
                camera.start()
            publisher = outlet.publisher if outlet is not None else None
            self.started = True
            quiet = Quiet(cameras, tally, entrance, self._clocks.monotonic_s)
            supervise(
                *(cameras, vision, exchange, publisher, notifier, self._stopping),
                credentials=credentials,
                shared=shared,
                keys_lost=outlet.keys_lost if outlet is not None else lambda: False,
                notice=notice,
                may_leave=lambda: quiet.long_enough() and self._giving_way.is_set(),
            )
            seconds = self._clocks.monotonic_s() - started_s
            return Totals.of(pipeline.counts, vision, exchange.dropped, seconds)

    def _tell_the_end(self, notifier: Notifier) -> None:
        # To systemd the service continues: it would kill a service that says it is stopping.
        if self._stopping.is_set() or not self._giving_way.is_set():
            notifier.stopping()


class Quiet:
    """Whether nobody has been at the door for QUIET_S: no face, no claim, no enrolment."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        tally: Tally,
        entrance: Entrance | None,
        clock_s: Callable[[], float],
    ) -> None:
        self._cameras, self._tally, self._entrance = cameras, tally, entrance
        self._clock_s = clock_s
        self._since_s = clock_s()

    def long_enough(self) -> bool:
        """Ask several times a second: anything that was there in between counts."""
        now_s = self._clock_s()
        # What a lost camera saw last means nothing.
        working = [each.name for each in self._cameras if each.state is CameraState.OK]
        faces = any(self._tally.in_view.get(name, 0) for name in working)
        if faces or (self._entrance is not None and self._entrance.is_busy):
            self._since_s = now_s
        return now_s - self._since_s >= QUIET_S


def _keeper(
    watch: GalleryWatch | None,
    outlet: Outlet | None,
    credentials: CredentialWatch | None,
    strangers: StrangerKeeper | None,
    shared: Sharing | None,
    clocks: Clocks,
) -> GalleryKeeper | None:
    if watch is None:
        return None

    giving_back = GivingBack(clocks.monotonic_s)

    def work() -> None:
        giving_back.work()
        if outlet is not None:
            # Commands are about the gallery, which belongs to its keeper's thread.
            outlet.work()
        if credentials is not None:
            credentials.work(clocks.monotonic_s())
        if shared is not None:
            shared.work()
        if strangers is not None:
            strangers.work()

    def shut() -> str:
        return "" if shared is None else shared.shut

    return GalleryKeeper(watch, clocks.monotonic_s, work, shut)


def _farewell(outlet: Outlet) -> Callable[[object, BaseException | None, object], None]:
    def leave(_kind: object, error: BaseException | None, _traceback: object) -> None:
        outlet.scribe.stop(failed=error is not None)
        outlet.publisher.stop(("failed",) if error is not None else ())

    return leave
