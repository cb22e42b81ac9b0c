"""The result of one frame, as the pipeline reports it."""

from __future__ import annotations

from dataclasses import dataclass

from oneglance.contract.messages import Hint, Phase
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.challenge import Prompt
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.find.boxes import Box


@dataclass(frozen=True, slots=True)
class TrackView:
    """One face of one frame as the pipeline sees it. `score`: the leading person's mean logit.

    `prompt` is what the screen is to ask of the visitor from now on, if that has changed.
    """

    track_id: int
    visit_id: str
    box: Box
    hint: Hint
    phase: Phase
    progress: float
    score: float | None
    verdict: Verdict | None
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A recognised face left, or gave way to another, before it was known whether it lives.

    `reason` is that of the rejection which it did not wait for.
    """

    visit_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepReport:
    """The result of one frame; `tracks` holds the faces found in it.

    `broken_off` are the visits that ended so since the frame before.
    """

    frame: Frame
    tracks: tuple[TrackView, ...]
    broken_off: tuple[BrokenOff, ...] = ()
