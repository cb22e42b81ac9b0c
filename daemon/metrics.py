"""What the loop does, for Prometheus: counts and times, and nothing that tells who was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
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
from oneglance.daemon.totals import Tally
from oneglance.daemon.vision import Vision
from oneglance.errors import ConfigError
from oneglance.timing import BINS_PER_OCTAVE, FIRST_BIN_S, StageTime, StageTimes

# The metrics say when somebody is at the door: they stay on this machine.
ADDRESS = "127.0.0.1"
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


@contextmanager
def served(parts: Parts, port: int) -> Iterator[None]:
    """Answer `http://127.0.0.1:PORT/metrics` while the block runs. ConfigError if it cannot."""
    registry = CollectorRegistry()
    registry.register(LoopCollector(parts))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, addr=ADDRESS, registry=registry)
    except OSError as error:
        raise ConfigError(
            f"the metrics cannot be served: {error.strerror}",
            where=f"metrics.port = {port}",
            fix="choose a port that is free",
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
            "oneglance_rejections", "Visits rejected, by reason", labels=["reason"]
        )
        # A copy: the vision thread may meet a new reason meanwhile.
        for reason, count in vision.rejected_for.copy().items():
            rejections.add_metric([reason], count)
        yield rejections
        problems = GaugeMetricFamily(
            "oneglance_problem", "Why nobody can be let in now", labels=["reason"]
        )
        for reason in vision.problems:
            problems.add_metric([reason], 1)
        yield problems

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
