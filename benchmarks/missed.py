"""Faces that a reference sees in a film and we miss. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from oneglance.faces.find.boxes import Box

# Detectors draw different boxes round the same face.
SAME_FACE_IOU = 0.25
# The reference itself may lose a face for this many frames within one visit.
GAP_FRAMES = 2
MIN_FACE_PX = 60.0
MIN_VISIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Missed:
    """Visits (a frontal face of 60 px or more, for 0.5 s or longer), and the frames of them.

    A visit is missed if we saw its face in fewer than `needed` of its frames.
    """

    visits: int
    missed_visits: int
    face_frames: int
    missed_face_frames: int

    def __add__(self, other: Missed) -> Missed:
        return Missed(
            self.visits + other.visits,
            self.missed_visits + other.missed_visits,
            self.face_frames + other.face_frames,
            self.missed_face_frames + other.missed_face_frames,
        )


@dataclass(slots=True)
class _Run:
    """One face of the reference, followed over frames."""

    last: Box
    at: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


def count_missed(
    reference: Sequence[Sequence[Box]], ours: Sequence[Sequence[Box]], fps: float, needed: int
) -> Missed:
    """Compare frame by frame; `reference` holds frontal faces only, of any size."""
    visits = missed_visits = face_frames = missed_frames = 0
    for run in _runs(reference):
        if (run.at[-1] - run.at[0] + 1) / fps < MIN_VISIT_S:
            continue
        seen = sum(
            any(box.iou(mine) >= SAME_FACE_IOU for mine in ours[frame])
            for frame, box in zip(run.at, run.boxes, strict=True)
        )
        visits += 1
        missed_visits += seen < min(needed, len(run.at))
        face_frames += len(run.at)
        missed_frames += len(run.at) - seen
    return Missed(visits, missed_visits, face_frames, missed_frames)


def _runs(reference: Sequence[Sequence[Box]]) -> list[_Run]:
    """Chains of boxes that overlap from frame to frame, only those large enough."""
    open_runs: list[_Run] = []
    closed: list[_Run] = []
    for frame, boxes in enumerate(reference):
        closed += [run for run in open_runs if frame - run.at[-1] > GAP_FRAMES + 1]
        open_runs = [run for run in open_runs if frame - run.at[-1] <= GAP_FRAMES + 1]
        free = list(open_runs)
        for box in boxes:
            if min(box.width, box.height) < MIN_FACE_PX:
                continue
            best = max(free, key=lambda run: run.last.iou(box), default=None)
            if best is None or best.last.iou(box) < SAME_FACE_IOU:
                best = _Run(box)
                open_runs.append(best)
            else:
                free.remove(best)
            best.last = box
            best.at.append(frame)
            best.boxes.append(box)
    return closed + open_runs
