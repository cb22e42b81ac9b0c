"""One step of seeing: frames in, what each face has come to out. No threads, no clocks of its own.

follow and search -> chips -> quality -> ONE encoder call for all cameras -> compare -> judge
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import CHALLENGE_IGNORED, PRESENTATION_ATTACK, Hint, Phase
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.sight.covered import covered_hint
from oneglance.daemon.sight.quality import distance_hint, picture_hint
from oneglance.daemon.sight.visitor import Visitor
from oneglance.daemon.sight.watcher import Seen, Watcher
from oneglance.daemon.visit.alive import (
    confirm,
    confirm_in_doubt,
    is_clear,
    lasting,
    refused,
    unjudged,
)
from oneglance.daemon.visit.attention import Attention, Batch, worth
from oneglance.daemon.visit.challenge import Challenge, Prompt
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.visit.claims import Claim, patient, verified
from oneglance.daemon.visit.decide import (
    NOT_RECOGNISED,
    POOR_QUALITY,
    Bar,
    Rule,
    Verdict,
    judge,
    leading_score,
    still,
)
from oneglance.daemon.visit.evidence import LIVING_EVERY_S, Look, Summary, Visit
from oneglance.daemon.visit.report import BrokenOff, StepReport, TrackView
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.fusing import fuse
from oneglance.faces.gallery.identify import most_alike
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.liveness.judge import Liveness
from oneglance.faces.liveness.motion import MOST_NOISE_S
from oneglance.faces.liveness.texture import is_whole
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import sharpness
from oneglance.timing import OnStage, stage

Templates = NDArray[np.float32]

# In the order of a step; without liveness, two of them are left out.
STAGES = ("follow", "search", "trace", "cut", "encode", "compare", "texture", "judge")
LIVENESS_STAGES = ("trace", "texture")
# A face that was not compared for this long may have been somebody else's in between. Looks come
# three times a second, and one may be missed.
KNOWN_FOR_S = 0.75
# What the camera saw longer ago than this says nothing about who is there now.
MAX_FRAME_AGE_S = 2.0


@dataclass(slots=True)
class Counts:
    """What has been done since the start."""

    frames: int = 0
    stale: int = 0
    faces: int = 0
    tracks: int = 0
    encoder_calls: int = 0
    faces_encoded: int = 0


@dataclass(slots=True)
class _Face:
    """A face of this step on its way through the stages."""

    frame: Frame
    seen: Seen
    near: bool
    hint: Hint
    scarce: bool
    chip: NDArray[np.uint8] | None = None
    worth: float = 0.0
    verdict: Verdict | None = None
    prompt: Prompt | None = None
    judged: bool = False
    clear: bool = False
    swapped: BrokenOff | None = None

    @property
    def under_way(self) -> bool:
        """Whether it was compared before, and has no decision yet."""
        return self.seen.visitor.under_way

    @property
    def challenge(self) -> Challenge | None:
        return self.seen.visitor.challenge

    @property
    def visit(self) -> Visit:
        return self.seen.visitor.visit

    @property
    def attention(self) -> Attention:
        return self.seen.visitor.attention


class Pipeline:
    """Turns frames into verdicts by `rule`.

    `same_face` is the score at or above which two looks in a row are one face. `clock_s` is the
    monotonic clock that stamps the frames. With a `liveness` only people whom it has seen to be
    alive are accepted; while there is a `problem`, a status reason, nobody is. `permit` has the
    last word about who is recognised in a gallery: it returns the verdict, or its rejection.
    `challenges`, where given, has each visitor asked to move who would be accepted; with `in_doubt`
    only those of whom `liveness` is not sure. `on_stage` is told what each stage took.
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
        liveness: Liveness | None = None,
        problem: str = "",
        permit: Callable[[Verdict, Snapshot], Verdict] = lambda verdict, _gallery: verdict,
        challenges: Challenges | None = None,
        in_doubt: bool = False,
        settle: Callable[[Templates], Templates] = lambda templates: templates,
        combine: Callable[[Templates], Templates] = fuse,
        on_stage: OnStage | None = None,
    ) -> None:
        self.counts = Counts()
        self.problem = problem
        self.liveness = liveness
        self.challenges = challenges
        self.on_stranger: Callable[[Templates], None] = lambda _template: None
        self._model = model
        self._detector = detector
        self._rule = rule
        self._same_face = same_face
        self._min_face_px = min_face_px
        self._lifetime_s = lifetime_s
        self._clock_s = clock_s
        self._permit = permit
        self._in_doubt = in_doubt
        self._settle = settle
        self._combine = combine
        self._on_stage = on_stage
        self._batch = Batch()
        self._watchers: dict[str, Watcher] = {}

    def step(
        self,
        frames: Sequence[Frame],
        gallery: Snapshot | None,
        claim: Claim | None = None,
        *,
        under_way: Snapshot | None = None,
    ) -> list[StepReport]:
        """Process at most one frame of each camera.

        Without a gallery nobody can be judged: faces are found and encoded, and that is all; but
        visits that are under way may go on with the gallery `under_way`. Under a `claim` the
        gallery is the claimed person's alone, and there is at most one verdict.
        """
        everybody = gallery is not None
        gallery = gallery if everybody else under_way
        fresh = [frame for frame in frames if self._is_fresh(frame)]
        self.counts.stale += len(frames) - len(fresh)
        self.counts.frames += len(fresh)
        faces = [face for frame in fresh for face in self._find(frame)]
        for face in faces:
            face.judged = gallery is not None and (everybody or face.under_way)
        if self.liveness is not None:
            with stage("trace", self._on_stage):
                for face in faces:
                    self._trace(face)
        with stage("cut", self._on_stage):
            wanted = self._wanted(faces)
        due = self._due(wanted)
        bar = None if gallery is None else self._rule.bar(len(gallery.templates))
        if due:
            self._look(due, gallery, bar, everybody=everybody)
        if gallery is not None and bar is not None:
            with stage("judge", self._on_stage):
                self._judge(faces, gallery, bar if claim is None else patient(bar), claim)
        return [self._report(frame, [f for f in faces if f.frame is frame]) for frame in fresh]

    def drop_evidence(self) -> None:
        """Discard all evidence: the gallery it was gathered against has been replaced."""
        for visitor in self.visitors:
            visitor.visit.drop_evidence()
            visitor.challenge = None

    @property
    def challenged(self) -> bool:
        """Whether anybody in view is being asked to move."""
        return any(visitor.challenge is not None for visitor in self.visitors)

    def renew(self, *, decided: bool = False) -> None:
        """Restart the visits of all faces in view, or only of those that are `decided`."""
        for visitor in self.visitors:
            if visitor.visit.decided or not decided:
                visitor.visit.renew()
                visitor.challenge = None

    def wait_is_over(self) -> None:
        """Restart the visits of those who were not judged meanwhile: they get their full time."""
        for visitor in self.visitors:
            if not visitor.visit.decided and not visitor.under_way:
                visitor.visit.renew()

    def reopen(self, visit_id: str) -> None:
        """The visit's decision never left this machine: new looks may bring it to another."""
        for visitor in self.visitors:
            if visitor.visit.visit_id == visit_id:
                visitor.visit.reopen()

    @property
    def visitors(self) -> list[Visitor]:
        """Everybody in front of the cameras, seen in the last frames."""
        return [v for watcher in self._watchers.values() for v in watcher.visitors.values()]

    def _begin_visit(self) -> Visit:
        self.counts.tracks += 1
        return Visit(self._rule.frames, self._lifetime_s, self._rule.patience_s)

    def _is_fresh(self, frame: Frame) -> bool:
        return 0 <= self._clock_s() - frame.captured_at_s <= MAX_FRAME_AGE_S

    def _find(self, frame: Frame) -> list[_Face]:
        watcher = self._watchers.get(frame.camera)
        if watcher is None:
            watcher = self._watchers[frame.camera] = Watcher(
                *(self._detector, self._model, self._min_face_px),
                self._begin_visit,
                self._on_stage,
            )
        faces = []
        for seen in watcher.see(frame.pixels, frame.at_s):
            hint = distance_hint(seen.track.box, frame.pixels.shape[0], self._min_face_px)
            if hint is Hint.NONE and self._is_cut(seen, frame):
                # From further away the camera sees more, whichever edge it is.
                hint = Hint.STEP_BACK
            face = _Face(frame, seen, hint is Hint.NONE, hint, watcher.apart_s > MOST_NOISE_S)
            if face.near:
                face.visit.near(frame.at_s)
            else:
                face.visit.away(frame.at_s)
            self._challenged(face)
            faces.append(face)
        self.counts.faces += len(faces)
        return faces

    def _is_cut(self, seen: Seen, frame: Frame) -> bool:
        """Whether the picture's edge cuts off so much of a face that its texture cannot be told.

        Nobody passes without it. Who is asked to move is told nothing else meanwhile.
        """
        if self.liveness is None or seen.visitor.challenge is not None:
            return False
        height, width = frame.pixels.shape[:2]
        return not is_whole(height, width, seen.points)

    def _challenged(self, face: _Face) -> None:
        """A visitor who was asked to move is watched in every frame."""
        if self.challenges is None or face.challenge is None:
            return
        before = face.challenge.prompt
        seen = face.seen
        self.challenges.see(face.challenge, seen.points, face.frame, followed=seen.sure)
        if face.challenge.prompt is not before:
            face.prompt = face.challenge.prompt

    def _wanted(self, faces: list[_Face]) -> list[_Face]:
        """The faces whose picture in this frame is wanted, and good; each is given its hint."""
        wanted = []
        for face in faces:
            at_s, attention, seen = face.frame.at_s, face.attention, face.seen
            if face.challenge is not None:
                if self._is_wanted_by(face.challenge, face):
                    wanted.append(face)
                continue
            watched = face.visit.decided or not face.judged
            wants = (
                attention.wants_recheck(at_s, sure=seen.sure) if watched else face.visit.due(at_s)
            )
            if face.hint is not Hint.NONE:
                continue
            if watched and not wants:
                if face.visit.wants_bare:
                    face.hint = face.seen.visitor.covering
                continue
            face.chip = chip_from_points(face.frame.pixels, seen.points)
            sharp = sharpness(face.chip)
            face.hint = picture_hint(face.chip, face.frame.pixels, seen.points)
            if face.hint is not Hint.NONE:
                continue
            # A wish, not a condition: somebody who is recognised anyway has nothing to take off.
            covering = face.seen.visitor.covering = covered_hint(face.chip)
            face.visit.covered = covering is not Hint.NONE
            if face.visit.wants_bare:
                face.hint = covering
            face.worth = worth(sharp, seen.points)
            if wants and attention.is_good(at_s, face.worth):
                wanted.append(face)
        return wanted

    def _is_wanted_by(self, challenge: Challenge, face: _Face) -> bool:
        """Whether a challenge asks who this is, or it is time to see again that they live."""
        waited_s = face.frame.at_s - face.attention.looked_at_s
        watched = self.liveness is not None and not 0 <= waited_s < LIVING_EVERY_S
        if not (challenge.wants_look or watched):
            return False
        face.chip = chip_from_points(face.frame.pixels, face.seen.points)
        face.hint = picture_hint(face.chip, face.frame.pixels, face.seen.points)
        # Somebody who was asked to turn their head looks away on the way there and on the way back.
        return face.hint in (Hint.NONE, Hint.LOOK_AT_CAMERA)

    def _due(self, wanted: list[_Face]) -> list[_Face]:
        """As many as the encoder can take in time: those put off most often first, then the
        largest.
        """
        wanted.sort(key=lambda f: (-f.attention.put_off, -f.seen.track.box.area))
        size = self._batch.size
        for face in wanted[size:]:
            face.attention.put_off += 1
        return wanted[:size]

    def _look(
        self, due: list[_Face], gallery: Snapshot | None, bar: Bar | None, *, everybody: bool
    ) -> None:
        chips = [face.chip for face in due if face.chip is not None]
        started_s = self._clock_s()
        with stage("encode", self._on_stage):
            encoded = self._model.encode(np.stack(chips))
            templates = self._settle(encoded)
        self._batch.took(len(due), self._clock_s() - started_s)
        self.counts.encoder_calls += 1
        self.counts.faces_encoded += len(due)
        if gallery is None or bar is None:
            for face in due:
                face.attention.looked(face.frame.at_s, same=True)
            return
        with stage("compare", self._on_stage):
            counts = min(bar.near, bar.threshold)
            alike = most_alike(self._model, gallery, templates, floor=counts)
        for face, template, own, scores in zip(due, templates, encoded, alike, strict=True):
            before = face.visit.reference
            same = before is None or self._resembles(template, before)
            if not face.judged:
                face.attention.looked(face.frame.at_s, same=True)
                continue
            face.attention.looked(face.frame.at_s, same=same)
            # Scores that are not numbers say nothing about anybody.
            if not np.isfinite(template).all():
                continue
            if not same:
                face.swapped = self._broken_off(face.visit, None)
            if face.challenge is not None:
                self._recognise(face, face.challenge, scores, bar, same=same)
                self._look_alive(face, same=same)
                self._judge_meanwhile(face, face.challenge)
                continue
            if not (same or everybody):
                # Somebody else has taken the place of a visitor under way: they wait like everybody
                # else.
                face.visit.drop_evidence()
                face.seen.visitor.trace.begin_anew()
                continue
            face.seen.visitor.template = own
            face.visit.add(Look(face.frame.at_s, template, scores), same_face=same)
            self._look_alive(face, same=same)
        self._sum_up(due, gallery, bar)

    def _sum_up(self, faces: list[_Face], gallery: Snapshot, bar: Bar) -> None:
        """Compare the fused looks of the visits whose moment has come."""
        moments = [(face, face.visit.moment(face.frame.at_s)) for face in faces]
        come = [(face, moment) for face, moment in moments if moment is not None]
        if not come:
            return
        templates = [
            self._combine(np.stack([look.template for look in face.visit.looks]))
            for face, _ in come
        ]
        with stage("compare", self._on_stage):
            alike = most_alike(self._model, gallery, np.stack(templates), floor=bar.threshold)
        for (face, moment), scores in zip(come, alike, strict=True):
            face.visit.sum_up(Summary(face.frame.at_s, moment, scores))

    def _trace(self, face: _Face) -> None:
        trace = face.seen.visitor.trace
        if face.judged:
            trace.see(face.frame.pixels, face.seen.points, face.frame.at_s)
        else:
            # Otherwise nobody would notice if another face took this one's place.
            trace.begin_anew()

    def _look_alive(self, face: _Face, *, same: bool) -> None:
        """Measure a face that was just compared; what was seen of an unknown one counts for nobody.

        Whose face it was before the first look, or during a gap between looks, was never checked.
        """
        trace, frame, points = face.seen.visitor.trace, face.frame, face.seen.points
        known = same and 0 <= frame.at_s - trace.looked_at_s <= KNOWN_FOR_S
        if not known:
            trace.begin_anew()
        if self.liveness is None or face.visit.decided:
            return
        with stage("texture", self._on_stage):
            if not known:
                trace.see(frame.pixels, points, frame.at_s)
            self.liveness.look(trace, frame.pixels, points, frame.at_s)
        face.visit.watched(measured=self.liveness.could_pass(trace), scarce=face.scarce)

    def _recognise(
        self,
        face: _Face,
        challenge: Challenge,
        scores: Mapping[str, float],
        bar: Bar,
        *,
        same: bool,
    ) -> None:
        """Tell a challenge whether the face is still the visit's and, if straight, the person's."""
        if face.hint is not Hint.NONE and not challenge.turned:
            return
        named = challenge.verdict.person_id or ""
        straight = still(scores, named, bar)
        before = challenge.prompt
        challenge.looked(same=same and (straight or challenge.turned))
        if challenge.prompt is not before:
            face.prompt = challenge.prompt

    def _resembles(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
        score = self._model.compare(one[np.newaxis], other[np.newaxis])[0, 0]
        return bool(score >= self._same_face)

    def _judge(self, faces: list[_Face], gallery: Snapshot, bar: Bar, claim: Claim | None) -> None:
        for face in faces:
            # The encoder may have taken long; what it saw must still be current.
            if not (face.judged and self._is_fresh(face.frame)):
                continue
            if claim is not None and self.challenged and face.challenge is None:
                # The claim is for one verdict, and waits for that of whoever is asked to move.
                continue
            verdict = None
            if face.challenge is not None:
                verdict = self._still_living(face.challenge)
            elif face.near:
                verdict = judge(face.visit, face.frame.at_s, self._rule, bar)
                verdict = self._living(face, verdict)
            if verdict is not None and claim is not None:
                verdict = verified(verdict, claim, self._rule.bar(1))
            if face.challenge is None:
                verdict = self._unless_challenged(face, verdict)
            if verdict is None:
                continue
            face.verdict = self._permit(verdict, gallery)
            if claim is not None:
                # Whoever is known but may not come in keeps their score to themselves, too.
                face.verdict = verified(face.verdict, claim, self._rule.bar(1))
            reason = face.verdict.reason
            face.visit.decide(unseen=reason == POOR_QUALITY, behind_cover=reason == NOT_RECOGNISED)
            own = face.seen.visitor.template
            if claim is None and reason == NOT_RECOGNISED and own is not None:
                self.on_stranger(own)
            face.seen.visitor.challenge = None
            if claim is not None:
                # The claim was good for one verdict.
                return

    def _unless_challenged(self, face: _Face, verdict: Verdict | None) -> Verdict | None:
        """The verdict, unless the visitor must move before it can be one."""
        if verdict is None or not verdict.accepted or self.challenges is None or face.clear:
            return verdict
        face.seen.visitor.challenge = self.challenges.begin(verdict)
        return None

    def _living(self, face: _Face, verdict: Verdict | None) -> Verdict | None:
        """The verdict, unless it accepts somebody who was not seen to live, or not yet."""
        visit, at_s = face.visit, face.frame.at_s
        if verdict is None or not (verdict.accepted or visit.held_back):
            return verdict
        if self.problem:
            visit.held_back = True
            return None
        if not verdict.accepted:
            # It was recognised, and is rejected now only because it was never seen to be alive.
            return unjudged(verdict) if visit.too_few_pictures else refused(verdict)
        if self.liveness is None:
            return verdict
        trace, over = face.seen.visitor.trace, visit.over(at_s)
        found = self.liveness.judge(trace, at_s)
        face.clear = self._in_doubt and is_clear(found)
        if self._in_doubt and not over:
            trace.seen_alive |= found.passed
            late = visit.half_over(at_s)
            confirmed = confirm_in_doubt(verdict, found, late=late, passed=trace.seen_alive)
        else:
            confirmed = confirm(verdict, found.verdict, over=over)
        if confirmed is not None and not confirmed.accepted and visit.too_few_pictures:
            confirmed = unjudged(verdict)
        visit.held_back = confirmed is None
        return confirmed

    def _judge_meanwhile(self, face: _Face, challenge: Challenge) -> None:
        """Note whether a face that was asked to move, and was just looked at, is seen to live."""
        if self.liveness is not None:
            found = self.liveness.judge(face.seen.visitor.trace, face.frame.at_s)
            challenge.found.append(found)

    def _still_living(self, challenge: Challenge) -> Verdict | None:
        """A challenge's answer, unless it accepts a face that looked like a picture in it."""
        verdict = challenge.answer
        if verdict is None or not verdict.accepted or self.liveness is None:
            return verdict
        return confirm(verdict, lasting(challenge.found), over=True)

    def _report(self, frame: Frame, faces: list[_Face]) -> StepReport:
        left = [self._broken_off(v.visit, v.challenge) for v in self._watchers[frame.camera].left]
        ends = (*left, *(face.swapped for face in faces))
        return StepReport(
            frame, tuple(map(self._view, faces)), tuple(one for one in ends if one is not None)
        )

    def _broken_off(self, visit: Visit, challenge: Challenge | None) -> BrokenOff | None:
        """What it comes to if this face is gone: nothing unless it was recognised and in doubt.

        While there is a problem everybody who is recognised is held back.
        """
        if self.problem or visit.decided or not (visit.held_back or challenge is not None):
            return None
        if challenge is None and visit.too_few_pictures:
            # As of who stays: such a visit could not have been accepted.
            return None
        reason = PRESENTATION_ATTACK if challenge is None else CHALLENGE_IGNORED
        return BrokenOff(visit.visit_id, reason)

    def _view(self, face: _Face) -> TrackView:
        visit = face.visit
        phase = Phase.CHECKING if visit.looks else Phase.LOOK
        score = leading_score(visit.looks)
        return TrackView(
            face.seen.track.track_id,
            visit.visit_id,
            face.seen.track.box,
            face.hint,
            Phase.DONE if visit.decided else phase,
            visit.progress,
            score,
            face.verdict,
            face.prompt,
        )
