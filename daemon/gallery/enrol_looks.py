"""Enrolment at the door's own camera, pose by pose, as an administrator at the screen asks.

The pictures never leave this machine: the daemon takes its own newest frame, says what is wrong
with it, and keeps the template in memory until all are complete and the administrator saves them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.contract.messages import Hint, Step
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.gallery.enrol import store
from oneglance.daemon.gallery.logged import Log
from oneglance.daemon.gallery.poses import POSE, POSES, judged
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.sight.quality import distance_hint, picture_hint
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, Verb, only, text_of
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.enrolment import AGREEMENT_FMR
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.setup import load_configured
from oneglance.faces.reader import FaceSample, read_faces

# An administrator who walked away leaves nothing behind.
IDLE_S = 120.0
# Between two looks the door compares nobody; if no look follows, it soon resumes.
PAUSE_S = 10.0
# An older frame may not show who stands there now; a busy machine takes a second for one.
FRESH_S = 2.0
NO_PICTURE, NO_FACE, TWO_FACES, OTHER_FACE = "no_picture", "no_face", "two_faces", "other_face"
NOT_BEGUN = "not_begun"
_ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})


class Glance:
    """The newest frame, kept only while an enrolment wants it. The vision thread `offer`s."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._until_s = float("-inf")
        self._frame: Frame | None = None

    def want(self, seconds: float) -> None:
        """Keep frames for this long from now; 0 stops it."""
        with self._lock:
            self._until_s = self._clock_s() + seconds
            if seconds <= 0:
                self._frame = None

    def offer(self, reports: Sequence[StepReport]) -> None:
        """Keep the newest frame that shows somebody, if one is wanted."""
        if not reports or self._clock_s() >= self._until_s:
            if self._frame is not None:
                self.want(0)
            return
        seen = [report.frame for report in reports if report.tracks] or [reports[0].frame]
        with self._lock:
            self._frame = seen[0]

    def take(self) -> Frame | None:
        """The newest one, if it is fresh; each frame is given once."""
        with self._lock:
            frame, self._frame = self._frame, None
        if frame is None or self._clock_s() - frame.captured_at_s > FRESH_S:
            return None
        return frame


@dataclass(slots=True)
class _Session:
    key_id: str
    name: str
    person_id: str | None
    consent: str
    until_s: float
    samples: dict[Step, FaceSample] = field(default_factory=dict)


class EnrolLooks:
    """The verbs of an enrolment at the screen, for use in the thread that owns `watch`.

    There is one enrolment at a time. What it stores is written to `log` first. While looks are
    taken, `pause` is called with the seconds for which the door should compare nobody: whoever is
    being enrolled is still a stranger.
    """

    def __init__(
        self,
        config: Config,
        watch: GalleryWatch,
        log: Log,
        glance: Glance,
        clocks: Clocks,
        pause: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._config = config
        self._watch = watch
        self._log = log
        self._glance = glance
        self._clocks = clocks
        self._pause = pause
        self._session: _Session | None = None
        self._eyes: tuple[FaceDetector, FaceModel] | None = None

    def verbs(self) -> dict[str, Verb]:
        """Only administrators may use them."""
        runs: dict[str, Callable[[Args, Sender], str]] = {
            "enrol-begin": self._begin,
            "enrol-look": self._look,
            "enrol-finish": self._finish,
            "enrol-cancel": self._cancel,
        }
        return {name: Verb(_ADMINISTRATOR, run) for name, run in runs.items()}

    def work(self) -> None:
        """Drop an enrolment that nobody continues; call it often, in the same thread."""
        if self._session is not None and self._clocks.monotonic_s() >= self._session.until_s:
            self._end()

    def _begin(self, args: Args, sender: Sender) -> str:
        only(args, "name", "id", "consent", "consent_text")
        if args.get("consent") is not True:
            raise CommandRefusedError(Code.BAD_ARGUMENTS, "the person has to agree: consent = true")
        said = text_of(args, "consent_text", longest=2000)
        now_s = self._clocks.monotonic_s()
        running = self._session
        if running is not None and running.key_id != sender.key_id and now_s < running.until_s:
            raise CommandRefusedError(Code.BUSY, "somebody else is enrolling")
        if self._eyes is None:
            # A model of its own, as the one that watches the door belongs to another thread.
            self._eyes = FaceDetector(), load_configured(self._config)
        consent = hashlib.sha256(said.encode()).hexdigest()
        person_id = text_of(args, "id") if "id" in args else None
        self._session = _Session(sender.key_id, text_of(args, "name"), person_id, consent, 0.0)
        self._goes_on(self._session)
        return "look straight"

    def _look(self, args: Args, sender: Sender) -> str:
        only(args, "pose")
        session = self._running(sender)
        try:
            pose = Step(text_of(args, "pose"))
        except ValueError:
            raise CommandRefusedError(
                Code.BAD_ARGUMENTS, f"'pose' has to be one of: {', '.join(POSES)}"
            ) from None
        self._goes_on(session)
        sample = self._seen(session, pose)
        if pose is Step.LOOK_STRAIGHT:
            # Poses measured against an earlier straight look are worthless now.
            session.samples.clear()
        session.samples[pose] = sample
        return f"{len(session.samples)} of {len(POSES)}"

    def _finish(self, args: Args, sender: Sender) -> str:
        only(args)
        session = self._running(sender)
        if set(session.samples) != set(POSES):
            missing = ", ".join(pose for pose in POSES if pose not in session.samples)
            raise CommandRefusedError(POSE, f"still to be taken: {missing}")
        samples = [session.samples[pose] for pose in POSES]
        if self._eyes is None:
            raise CommandRefusedError(NOT_BEGUN, "no enrolment was begun")
        try:
            person = store(
                *(self._config, self._eyes[1], session.name, session.person_id, samples),
                *([str(pose) for pose in POSES], self._log),
                source="door",
                consent=session.consent,
            )
        finally:
            self._end()
        self._watch.reload()
        return f"{person.name} is enrolled as {person.person_id}"

    def _cancel(self, args: Args, sender: Sender) -> str:
        only(args)
        if self._session is not None and self._session.key_id == sender.key_id:
            self._end()
        return "nothing was kept"

    def _seen(self, session: _Session, pose: Step) -> FaceSample:
        """The face in the newest frame if there is exactly one, in that pose; otherwise why not."""
        frame = self._glance.take()
        if frame is None or self._eyes is None:
            raise CommandRefusedError(NO_PICTURE, "no camera gives a picture now")
        detector, model = self._eyes
        samples = read_faces(frame.pixels, detector, model)
        if len(samples) != 1:
            code = TWO_FACES if samples else NO_FACE
            raise CommandRefusedError(code, f"{len(samples)} faces are seen")
        sample = samples[0]
        hint = distance_hint(sample.box, frame.pixels.shape[0], self._config.decision.min_face_px)
        if hint is Hint.NONE:
            hint = picture_hint(sample.chip, frame.pixels)
        if hint is not Hint.NONE:
            raise CommandRefusedError(hint, "the picture is not good enough")
        straight = session.samples.get(Step.LOOK_STRAIGHT)
        fault = judged(pose, sample.points, None if straight is None else straight.points)
        if fault:
            raise CommandRefusedError(fault, f"not the pose {pose}")
        if straight is not None and pose is not Step.LOOK_STRAIGHT:
            score = model.compare(sample.template[None], straight.template[None])[0, 0]
            if not score >= model.threshold(AGREEMENT_FMR):
                raise CommandRefusedError(OTHER_FACE, "it does not look like the same person")
        return sample

    def _running(self, sender: Sender) -> _Session:
        session = self._session
        if session is None or session.key_id != sender.key_id:
            raise CommandRefusedError(NOT_BEGUN, "no enrolment was begun with this key")
        if self._clocks.monotonic_s() >= session.until_s:
            self._end()
            raise CommandRefusedError(NOT_BEGUN, "the enrolment took too long: begin it again")
        return session

    def _goes_on(self, session: _Session) -> None:
        session.until_s = self._clocks.monotonic_s() + IDLE_S
        self._glance.want(IDLE_S)
        self._pause(PAUSE_S)

    def _end(self) -> None:
        self._session = None
        self._glance.want(0)
        self._pause(0.0)
