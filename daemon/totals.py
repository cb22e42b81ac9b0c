"""The counts of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from oneglance.daemon.pipeline import Counts
from oneglance.daemon.vision import Vision
from oneglance.daemon.visit.report import StepReport


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one run. `fps` is frames processed per second of wall clock.

    `rejected_for` says how many visits were rejected for which reason.
    """

    frames: int
    dropped: int
    stale: int
    faces: int
    tracks: int
    encoder_calls: int
    faces_encoded: int
    accepted: int
    rejected: int
    rejected_for: dict[str, int]
    seconds: float
    fps: float

    @classmethod
    def of(cls, counts: Counts, vision: Vision, dropped: int, seconds: float) -> Self:
        """Put the parts' counts together."""
        return cls(
            **asdict(counts),
            dropped=dropped,
            accepted=vision.accepted,
            rejected=vision.rejected,
            rejected_for=dict(vision.rejected_for),
            seconds=round(seconds, 3),
            fps=round(counts.frames / seconds, 2) if seconds > 0 else 0.0,
        )

    @property
    def decisions(self) -> int:
        """All decisions, accepted or rejected."""
        return self.accepted + self.rejected


class Tally:
    """Frames processed, and faces in the newest one, by camera; `step` passes each on to `then`.

    Filled in the vision thread, read in any.
    """

    def __init__(self, then: Callable[[StepReport], None] | None = None) -> None:
        self._then = then
        self.frames: dict[str, int] = {}
        self.in_view: dict[str, int] = {}

    def step(self, report: StepReport) -> None:
        """Count one frame."""
        camera = report.frame.camera
        self.frames[camera] = self.frames.get(camera, 0) + 1
        self.in_view[camera] = len(report.tracks)
        if self._then is not None:
            self._then(report)
