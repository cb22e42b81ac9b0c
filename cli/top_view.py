"""What two readings of the daemon's metrics say about the time between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

# (name, label): the metrics have one label each, beside a bucket's bound.
Samples = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Reading:
    """All metrics at one moment. `buckets`: for each stage, calls at or under each bound in s."""

    at_s: float
    samples: Samples
    buckets: Mapping[str, Mapping[float, float]]


@dataclass(frozen=True, slots=True)
class CameraRow:
    """One camera: frames per second read, processed, and dropped unseen; faces in the newest."""

    camera: str
    up: bool
    captured_fps: float
    fps: float
    dropped_fps: float
    in_view: int


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage: calls per second, how long they took, its share of one core (wall time, 0..1)."""

    stage: str
    calls_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    core: float


@dataclass(frozen=True, slots=True)
class View:
    """What `oneglance top` shows. `cpu` is the process's share of one core, which may exceed 1."""

    cpu: float
    memory_mb: float
    tracks: int
    accepted: int
    rejected: int
    stale: int
    problems: tuple[str, ...]
    cameras: tuple[CameraRow, ...]
    stages: tuple[StageRow, ...]


def view_of(before: Reading, now: Reading) -> View:
    """What happened between two readings, the second later than the first.

    Counters that went down belong to a restarted daemon: they count from zero.
    """
    seconds = max(now.at_s - before.at_s, 1e-3)

    def gone(name: str, label: str = "") -> float:
        value, former = (r.samples.get((name, label), 0.0) for r in (now, before))
        return (value - former if value >= former else value) / seconds

    def total(name: str, label: str = "") -> int:
        return int(now.samples.get((f"oneglance_{name}", label), 0))

    names = [label for name, label in now.samples if name == "oneglance_camera_up"]
    cameras = tuple(
        CameraRow(
            name,
            bool(total("camera_up", name)),
            gone("oneglance_frames_captured_total", name),
            gone("oneglance_frames_total", name),
            gone("oneglance_frames_dropped_total", name),
            total("in_view", name),
        )
        for name in names
    )
    stages = []
    for stage, bounds in now.buckets.items():
        former = before.buckets.get(stage, {})
        risen = {bound: count - former.get(bound, 0.0) for bound, count in bounds.items()}
        if min(risen.values()) < 0:
            risen = dict(bounds)
        stages.append(
            StageRow(
                stage,
                gone("oneglance_stage_seconds_count", stage),
                quantile_ms(risen, 0.5),
                quantile_ms(risen, 0.95),
                gone("oneglance_stage_seconds_sum", stage),
            )
        )
    return View(
        cpu=gone("process_cpu_seconds_total"),
        memory_mb=now.samples.get(("process_resident_memory_bytes", ""), 0.0) / 1e6,
        tracks=total("tracks_total"),
        accepted=total("decisions_total", "accepted"),
        rejected=total("decisions_total", "rejected"),
        stale=total("frames_stale_total"),
        problems=tuple(label for name, label in now.samples if name == "oneglance_problem"),
        cameras=cameras,
        stages=tuple(stages),
    )


def quantile_ms(cumulative: Mapping[float, float], part: float) -> float | None:
    """The time within which this share of the calls was done; None without calls.

    It is interpolated within its bucket; beyond the last bound it is that bound.
    """
    bounds = sorted(cumulative)
    whole = cumulative[bounds[-1]] if bounds else 0.0
    if whole <= 0:
        return None
    lower, under = 0.0, 0.0
    for bound in bounds:
        count = cumulative[bound]
        if count >= part * whole:
            if bound == float("inf"):
                return 1e3 * lower
            inside = (part * whole - under) / (count - under) if count > under else 1.0
            return 1e3 * (lower + inside * (bound - lower))
        lower, under = bound, count
    return None


def render(view: View, title: str) -> Group:
    """The view as text."""
    head = Text(f"{title}   ", style="bold")
    head.append(f"CPU {view.cpu:.0%} of a core   memory {view.memory_mb:.0f} MB   ", "none")
    head.append(f"accepted {view.accepted}   rejected {view.rejected}   ", "none")
    head.append(f"tracks {view.tracks}   ", "none")
    head.append(f"stale frames {view.stale}", "yellow" if view.stale else "none")
    parts: list[Text | Table] = [head]
    if view.problems:
        parts.append(Text("nobody is let in: " + ", ".join(view.problems), style="bold red"))
    cameras = _table("camera", "", "read fps", "seen fps", "dropped fps", "in view")
    for row in view.cameras:
        cameras.add_row(
            Text(row.camera),
            Text("ok", "green") if row.up else Text("no frames", "bold red"),
            f"{row.captured_fps:.1f}",
            f"{row.fps:.1f}",
            Text(f"{row.dropped_fps:.1f}", "yellow" if row.dropped_fps > 0 else ""),
            str(row.in_view),
        )
    stages = _table("stage", "calls/s", "p50 ms", "p95 ms", "of a core", "")
    for stage in view.stages:
        bar = "█" * round(20 * min(1.0, stage.core))
        stages.add_row(
            stage.stage,
            f"{stage.calls_per_s:.1f}",
            _ms(stage.p50_ms),
            _ms(stage.p95_ms),
            f"{stage.core:.1%}",
            Text(bar, "cyan"),
        )
    return Group(*parts, cameras, stages)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(first, min_width=10)
    for name in others:
        table.add_column(name, justify="right" if name else "left")
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
