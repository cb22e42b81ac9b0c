"""What the loop does, for Prometheus, and whether it works: nothing that tells who was seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.pipeline import Counts
from oneglance.daemon.standing import Notice
from oneglance.daemon.totals import Tally
from oneglance.daemon.vision import Vision
from oneglance.errors import ConfigError
from oneglance.timing import BINS_PER_OCTAVE, FIRST_BIN_S, StageTime, StageTimes

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# The metrics say when somebody is at the door: they stay on this machine.
ADDRESS = "127.0.0.1"
# The loop comes round four times a second without frames; one step of a busy machine takes less.
HANGS_AFTER_S = 10.0
# Half octaves, from 16 us to 2 s.
_BUCKET_BINS = BINS_PER_OCTAVE // 2
_BUCKETS = range(4 * BINS_PER_OCTAVE, 21 * BINS_PER_OCTAVE + 1, _BUCKET_BINS)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the figures come from; they are read at the moment somebody asks."""

    cameras: Sequence[Camera]
    exchange: FrameExchange
    counts: Counts
    vision: Vision
    times: StageTimes
    tally: Tally
    notice: Notice


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    # Who connects and says nothing is not waited for.
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Log nothing: it is asked every few seconds."""


@contextmanager
def served(parts: Parts, port: int, clock_s: Callable[[], float]) -> Iterator[None]:
    """Answer at `http://127.0.0.1:PORT` while the block runs. ConfigError if it cannot.

    `/metrics` for Prometheus; `/healthz`: 200 while the loop comes round; `/readyz`: 200 while
    somebody can be let in, else 503, each with the reasons as JSON.
    """
    registry = CollectorRegistry()
    registry.register(LoopCollector(parts))
    ProcessCollector(registry=registry)
    application = _application(parts, make_wsgi_app(registry), clock_s)
    try:
        server = make_server(ADDRESS, port, application, _Server, _Quiet)
    except OSError as error:
        raise ConfigError(
            f"the metrics cannot be served: {error.strerror}",
            where=f"metrics.port = {port}",
            fix="choose a port that is free",
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(
    parts: Parts, metrics: WSGIApplication, clock_s: Callable[[], float]
) -> WSGIApplication:
    def works() -> bool:
        turned_at_s = parts.vision.turned_at_s
        return turned_at_s is None or clock_s() - turned_at_s < HANGS_AFTER_S

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        place, standing = environ["PATH_INFO"], parts.notice.standing
        if place == "/metrics":
            return list(metrics(environ, start_response))
        if place not in {"/healthz", "/readyz"}:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /healthz, /readyz\n"]
        good = works() and (place == "/healthz" or standing.ready)
        told = {"ok": good, "state": standing.state, "reasons": standing.reasons}
        start_response(
            "200 OK" if good else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [json.dumps(told).encode() + b"\n"]

    return answer


class LoopCollector(Collector):
    """The daemon's figures as Prometheus families."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Read all figures now."""
        yield self._stages()
        yield from self._by_camera()
        counts, vision = self._parts.counts, self._parts.vision
        for name, text, value in (
            ("frames_stale", "Frames that came too late to be looked at", counts.stale),
            ("faces", "Faces found, one a frame", counts.faces),
            ("tracks", "Faces followed over frames", counts.tracks),
            ("encoder_calls", "Calls of the encoder", counts.encoder_calls),
            ("faces_encoded", "Faces encoded", counts.faces_encoded),
        ):
            yield CounterMetricFamily(f"oneglance_{name}", text, value=value)
        decisions = CounterMetricFamily("oneglance_decisions", "Decisions", labels=["outcome"])
        decisions.add_metric(["accepted"], vision.accepted)
        decisions.add_metric(["rejected"], vision.rejected)
        yield decisions
        rejections = CounterMetricFamily(
            "oneglance_rejections",
            "Visits rejected, or broken off before that, by reason",
            labels=["reason"],
        )
        # Copies: the vision thread may meet a new reason meanwhile.
        ended = vision.rejected_for.copy() + vision.broken_off_for.copy()
        for reason, count in ended.items():
            rejections.add_metric([reason], count)
        yield rejections
        standing = self._parts.notice.standing
        for name, text, holds in (
            ("ready", "Whether somebody can be let in now", standing.ready),
            ("broker_up", "Whether the broker takes what is said", standing.connected),
        ):
            yield GaugeMetricFamily(f"oneglance_{name}", text, value=float(holds))
        problems = GaugeMetricFamily(
            "oneglance_problem", "Why nobody can be let in now", labels=["reason"]
        )
        for reason in vision.problems:
            problems.add_metric([reason], 1)
        yield problems
        # Also what lets everybody in: a deletion that does not arrive, a message put back.
        reasons = GaugeMetricFamily(
            "oneglance_reason", "Why the status is degraded", labels=["reason", "camera"]
        )
        for reason in standing.reasons:
            word, _, camera = reason.partition(":")
            reasons.add_metric([word, camera], 1)
        yield reasons

    def _by_camera(self) -> Iterator[Metric]:
        parts, by = self._parts, ["camera"]
        captured = CounterMetricFamily("oneglance_frames_captured", "Frames read", labels=by)
        dropped = CounterMetricFamily(
            "oneglance_frames_dropped", "Frames replaced by newer ones unseen", labels=by
        )
        frames = CounterMetricFamily("oneglance_frames", "Frames worked off", labels=by)
        in_view = GaugeMetricFamily("oneglance_in_view", "Faces in the newest frame", labels=by)
        up = GaugeMetricFamily("oneglance_camera_up", "Whether frames come", labels=by)
        for camera in parts.cameras:
            name = [camera.name]
            works = camera.state is CameraState.OK
            captured.add_metric(name, camera.captured)
            dropped.add_metric(name, parts.exchange[camera.name].dropped)
            frames.add_metric(name, parts.tally.frames.get(camera.name, 0))
            in_view.add_metric(name, parts.tally.in_view.get(camera.name, 0) if works else 0)
            up.add_metric(name, float(works))
        yield from (captured, dropped, frames, in_view, up)

    def _stages(self) -> Metric:
        family = HistogramMetricFamily(
            "oneglance_stage_seconds", "Wall time of a stage of one step", labels=["stage"]
        )
        for name, time in self._parts.times.stages.items():
            family.add_metric([name], _cumulative(time), time.total_s)
        return family


def _cumulative(time: StageTime) -> list[tuple[str, float]]:
    """Calls at or under each bound, as the exposition format wants them, ending with +Inf."""
    # One copy, so that a call added meanwhile cannot make the sums fall.
    bins = list(time.bins)
    bounds = ((FIRST_BIN_S * 2.0 ** (end / BINS_PER_OCTAVE), end) for end in _BUCKETS)
    return [(f"{bound:.3g}", float(sum(bins[:end]))) for bound, end in bounds] + [
        ("+Inf", float(sum(bins)))
    ]
