"""What a run has done, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from oneglance.daemon.pipeline import Counts
from oneglance.daemon.vision import Vision


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one run. `fps` is frames worked off per second of wall clock."""

    frames: int
    dropped: int
    stale: int
    faces: int
    tracks: int
    encoder_calls: int
    faces_encoded: int
    accepted: int
    rejected: int
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
            seconds=round(seconds, 3),
            fps=round(counts.frames / seconds, 2) if seconds > 0 else 0.0,
        )

    @property
    def decisions(self) -> int:
        """All decisions, accepted or rejected."""
        return self.accepted + self.rejected
