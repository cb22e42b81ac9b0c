"""One step of seeing: frames in, what each face has come to out. No threads, no clocks of its own.

detect -> track -> quality -> chips -> ONE encoder call for all cameras -> compare -> judge
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Hint, Phase
from oneglance.daemon.decide import Bar, Rule, Verdict, judge, leading_score
from oneglance.daemon.evidence import Look, Visit
from oneglance.daemon.frames import Frame
from oneglance.daemon.quality import distance_hint, picture_hint
from oneglance.daemon.search import FaceSearch
from oneglance.daemon.stages import OnStage, stage
from oneglance.daemon.tracker import Track, Tracker
from oneglance.faces.boxes import Box
from oneglance.faces.detect import FaceDetector
from oneglance.faces.identify import most_alike
from oneglance.faces.model import FaceModel
from oneglance.faces.person import Snapshot
from oneglance.faces.reader import brightness, sharpness

# What the camera saw longer ago than this says nothing about who stands there now.
MAX_FRAME_AGE_S = 2.0
# A face that is not found for this long has left, and its visit is over.
LEAVE_S = 1.5
# More faces than this at a door are not visitors; the largest go first.
MAX_FACES_PER_STEP = 8
# A visit that has its decision is only watched for another face taking its place.
RECHECK_S = 0.25


@dataclass(slots=True)
class Counts:
    """What has been done since the start."""

    frames: int = 0
    stale: int = 0
    faces: int = 0
    tracks: int = 0
    encoder_calls: int = 0
    faces_encoded: int = 0


@dataclass(frozen=True, slots=True)
class TrackView:
    """One face of one frame as the pipeline sees it. `score`: the leading person's mean logit."""

    track_id: int
    visit_id: str
    box: Box
    hint: Hint
    phase: Phase
    progress: float
    score: float | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one frame has come to; `tracks` holds the faces found in it."""

    frame: Frame
    tracks: tuple[TrackView, ...]


@dataclass(slots=True)
class _Face:
    """A face of this step on its way through the stages."""

    frame: Frame
    track: Track
    visit: Visit
    hint: Hint
    chip: NDArray[np.uint8] | None = None
    verdict: Verdict | None = None


@dataclass(slots=True)
class _View:
    """What is remembered of one camera."""

    search: FaceSearch
    tracker: Tracker = field(default_factory=lambda: Tracker(LEAVE_S))
    visits: dict[int, Visit] = field(default_factory=dict)
    checked_at_s: dict[int, float] = field(default_factory=dict)


class Pipeline:
    """Turns frames into verdicts by `rule`.

    `same_face` is the score at or above which two looks in a row are one face. `clock_s` is the
    monotonic clock that stamps the frames. `on_stage` is told what each stage took.
    """

    def __init__(
        self,
        model: FaceModel,
        detector: FaceDetector,
        rule: Rule,
        *,
        same_face: float,
        min_face_px: int,
        lifetime_s: float,
        clock_s: Callable[[], float],
        on_stage: OnStage | None = None,
    ) -> None:
        self.counts = Counts()
        self._model = model
        self._detector = detector
        self._rule = rule
        self._same_face = same_face
        self._min_face_px = min_face_px
        self._lifetime_s = lifetime_s
        self._clock_s = clock_s
        self._on_stage = on_stage
        self._views: dict[str, _View] = {}

    def step(self, frames: Sequence[Frame], gallery: Snapshot | None) -> list[StepReport]:
        """Work off at most one frame of each camera.

        Without a gallery nobody can be judged: faces are found and encoded, and that is all.
        """
        fresh = [frame for frame in frames if self._is_fresh(frame)]
        self.counts.stale += len(frames) - len(fresh)
        self.counts.frames += len(fresh)
        faces = [face for frame in fresh for face in self._find(frame)]
        due = self._due(faces)
        with stage("cut", self._on_stage):
            self._cut_out(due)
        usable = [face for face in due if face.hint is Hint.NONE]
        bar = None if gallery is None else self._rule.bar(len(gallery.templates))
        if usable:
            self._look(usable, gallery, bar)
        if bar is not None:
            with stage("judge", self._on_stage):
                self._judge(faces, bar)
        return [
            StepReport(frame, tuple(self._view(face) for face in faces if face.frame is frame))
            for frame in fresh
        ]

    def drop_evidence(self) -> None:
        """Begin all evidence anew: the gallery it was gathered against is no longer the gallery."""
        for view in self._views.values():
            for visit in view.visits.values():
                visit.drop_evidence()

    def reopen(self, visit_id: str) -> None:
        """The visit's decision never left this machine: it may come to another, from new looks."""
        for view in self._views.values():
            for visit in view.visits.values():
                if visit.visit_id == visit_id:
                    visit.reopen()

    def _is_fresh(self, frame: Frame) -> bool:
        return 0 <= self._clock_s() - frame.captured_at_s <= MAX_FRAME_AGE_S

    def _find(self, frame: Frame) -> list[_Face]:
        if frame.camera not in self._views:
            # A cascade sees faces in ties and curtains; nobody stands there, so no visit begins.
            search = FaceSearch(self._detector, self._min_face_px, self._model.faces_among)
            self._views[frame.camera] = _View(search)
        view = self._views[frame.camera]
        with stage("find", self._on_stage):
            boxes = view.search.faces(frame.pixels)
        self.counts.faces += len(boxes)
        with stage("track", self._on_stage):
            tracks = view.tracker.update(boxes, frame.at_s)
        known, view.visits = view.visits, {}
        for track in tracks:
            visit = known.get(track.track_id)
            if visit is None:
                visit = Visit(self._rule.frames, self._lifetime_s, self._rule.patience_s)
                self.counts.tracks += 1
            view.visits[track.track_id] = visit
        view.checked_at_s = {t: s for t, s in view.checked_at_s.items() if t in view.visits}
        faces = []
        for track in tracks:
            if track.seen:
                hint = distance_hint(track.box, frame.pixels.shape[0], self._min_face_px)
                face = _Face(frame, track, view.visits[track.track_id], hint)
                if hint is Hint.NONE:
                    face.visit.near(frame.at_s)
                faces.append(face)
        return faces

    def _due(self, faces: list[_Face]) -> list[_Face]:
        due: list[_Face] = []
        for face in sorted(faces, key=lambda face: face.track.box.area, reverse=True):
            checked_at_s = self._views[face.frame.camera].checked_at_s
            last_s = checked_at_s.get(face.track.track_id, float("-inf"))
            if face.visit.decided:
                waits = face.frame.at_s - last_s < RECHECK_S
            else:
                waits = not face.visit.due(face.frame.at_s)
            if face.hint is Hint.NONE and not waits and len(due) < MAX_FACES_PER_STEP:
                checked_at_s[face.track.track_id] = face.frame.at_s
                due.append(face)
        return due

    def _cut_out(self, due: list[_Face]) -> None:
        for frame in {id(face.frame): face.frame for face in due}.values():
            here = [face for face in due if face.frame is frame]
            chips = self._model.chips(frame.pixels, [face.track.box for face in here])
            for face, chip in zip(here, chips, strict=True):
                face.chip = chip
                face.hint = picture_hint(sharpness(chip), brightness(chip))

    def _look(self, usable: list[_Face], gallery: Snapshot | None, bar: Bar | None) -> None:
        chips = [face.chip for face in usable if face.chip is not None]
        with stage("encode", self._on_stage):
            templates = self._model.encode(np.stack(chips))
        self.counts.encoder_calls += 1
        self.counts.faces_encoded += len(usable)
        if gallery is None or bar is None:
            return
        with stage("compare", self._on_stage):
            alike = most_alike(self._model, gallery, templates, floor=bar.threshold)
        for face, template, scores in zip(usable, templates, alike, strict=True):
            # What is no number says nothing about anybody.
            if not np.isfinite(template).all():
                continue
            before = face.visit.reference
            same = before is None or self._resembles(template, before)
            face.visit.add(Look(face.frame.at_s, template, scores), same_face=same)

    def _resembles(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
        score = self._model.compare(one[np.newaxis], other[np.newaxis])[0, 0]
        return bool(score >= self._same_face)

    def _judge(self, faces: list[_Face], bar: Bar) -> None:
        for face in faces:
            # The encoder may have taken long; what it saw must still be true.
            if self._is_fresh(face.frame):
                face.verdict = judge(face.visit, face.frame.at_s, self._rule, bar)
                if face.verdict is not None:
                    face.visit.decided = True

    def _view(self, face: _Face) -> TrackView:
        visit = face.visit
        phase = Phase.CHECKING if visit.looks else Phase.LOOK
        score = leading_score(visit.looks)
        return TrackView(
            face.track.track_id,
            visit.visit_id,
            face.track.box,
            face.hint,
            Phase.DONE if visit.decided else phase,
            visit.progress,
            score,
            face.verdict,
        )
