"""The challenge in the pipeline: real model, real photographs, and a nose that moves as asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from challenged import seeded
from numpy.typing import NDArray
from test_pipeline import FPS, PATIENCE_S, Bench, broken_off, judging, obama, portrait, scene

from oneglance.contract.messages import Factor, Liveness, Step
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.watcher import LEAVE_S
from oneglance.daemon.visit.alive import CLEAR
from oneglance.daemon.visit.challenge import STEPS, Challenge, Prompt
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.visit.claims import Claim
from oneglance.daemon.visit.decide import Rule, Verdict
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.credentials import Claimed
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.liveness import judge as alive
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.tail import tail_of

__all__ = ["obama", "portrait"]

Picture = NDArray[np.uint8]
# Where the nose goes in each step, in distances of the eyes: right and down in the picture.
NOSE = {
    Step.LOOK_STRAIGHT: (0.0, 0.0),
    Step.TURN_LEFT: (0.9, 0.0),
    Step.TURN_RIGHT: (-1.2, 0.0),
    Step.LOOK_UP: (0.0, -0.4),
}


class Asked(Bench):
    """A bench whose visitors are challenged, ten pictures a second, by a screen that answers."""

    def __init__(
        self,
        model: FaceModel,
        seed: int = 0,
        *,
        liveness: alive.Liveness | None = None,
        in_doubt: bool = False,
    ) -> None:
        super().__init__(model)
        self.challenges = Challenges(seeded(seed), lambda: self.now_s)
        self.pipeline = Pipeline(
            model,
            door_detector(),
            Rule(1e-3, 3, PATIENCE_S, tail_of(model.manifest.raw["thresholds"])),
            same_face=model.threshold("1e-3"),
            min_face_px=80,
            lifetime_s=5.0,
            clock_s=lambda: self.now_s,
            liveness=liveness,
            challenges=self.challenges,
            in_doubt=in_doubt,
        )
        self.prompts: list[Prompt] = []
        self.verdicts: list[Verdict] = []
        self.answers = True

    @property
    def step(self) -> Step | None:
        return self.prompts[-1].step if self.prompts else None

    def see(self, picture: Picture, gallery: Snapshot, frames: int = 1) -> None:
        for _ in range(frames):
            self.now_s += 0.1
            for report in self.pipeline.step([self.frame(picture)], gallery):
                for view in report.tracks:
                    if view.prompt is not None:
                        self.prompts.append(view.prompt)
                        if self.answers:
                            self.challenges.shown(view.prompt.challenge_id)
                    if view.verdict is not None:
                        self.verdicts.append(view.verdict)


@pytest.fixture(scope="module")
def head(portrait: Callable[..., Picture], model: FaceModel) -> Callable[[Step, float], Picture]:
    """`head(step, part)`: the enrolled person so far in a step."""
    person = portrait("obama2.jpg")
    still = scene(person)
    (box,) = FaceDetector().find(still)
    points = model.points(still, [box])[0]
    apart = float(np.linalg.norm(points[1] - points[0]))

    def head(step: Step, part: float) -> Picture:
        if step is Step.COME_CLOSER:
            side = round(person.shape[0] * (1 + 0.4 * part))
            return scene(np.asarray(cv2.resize(person, (side, side)), np.uint8))
        right, down = NOSE[step]
        y, x = np.mgrid[: still.shape[0], : still.shape[1]].astype(np.float32)
        away = ((x - points[2, 0]) ** 2 + (y - points[2, 1]) ** 2) / (0.6 * apart) ** 2
        bump = np.exp(-away).astype(np.float32) * np.float32(part * apart)
        # What turns away is seen shorter, too.
        shorter = 1 - 0.15 * part * (np.array([right, down], np.float32) != 0)
        x = points[2, 0] + (x - right * bump - points[2, 0]) / shorter[0]
        y = points[2, 1] + (y - down * bump - points[2, 1]) / shorter[1]
        moved = cv2.remap(still, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        return np.asarray(moved, np.uint8)

    return head


def obey(door: Asked, gallery: Snapshot, head: Callable[[Step, float], Picture]) -> Verdict:
    """Do what the screen asks until there is a verdict."""
    closer = 0.0
    for _ in range(160):
        step = door.step or Step.LOOK_STRAIGHT
        asked = len(door.prompts)
        door.see(head(Step.COME_CLOSER, closer), gallery)
        if door.verdicts:
            break
        if step is Step.LOOK_STRAIGHT or len(door.prompts) != asked:
            continue
        door.see(head(Step.COME_CLOSER, closer), gallery, 3)
        for part in (0.2, 0.4, 0.6, 0.8, 1.0, 1.0):
            if door.step is step:
                door.see(head(step, part), gallery)
        closer = 1.0 if step is Step.COME_CLOSER else closer
    (verdict,) = door.verdicts
    return verdict


def test_who_moves_as_asked_is_accepted_and_known_to_be_alive(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model, seed=1, liveness=judging(8.0))
    verdict = obey(door, obama, head)
    assert [p.step is Step.LOOK_STRAIGHT for p in door.prompts] == [
        number % 2 == 0 for number in range(2 * STEPS + 1)
    ]
    assert (verdict.person_id, verdict.liveness) == ("obama", Liveness.PASSED)


def test_who_moves_as_asked_but_looks_like_a_picture_meanwhile_is_refused(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model, seed=1, liveness=judging(8.0))
    while not door.prompts:
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    door.pipeline.liveness = judging(-8.0)
    verdict = obey(door, obama, head)
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")
    assert verdict.liveness is Liveness.FAILED
    # What was asked was done, once: the challenge alone would have let them in.
    assert len(door.prompts) == 2 * STEPS + 1


def test_only_in_doubt_who_is_clearly_alive_is_asked_nothing(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model, liveness=judging(1.0 + CLEAR), in_doubt=True)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 8)
    (verdict,) = door.verdicts
    assert (verdict.person_id, verdict.liveness) == ("obama", Liveness.PASSED)
    assert door.prompts == []


def test_only_in_doubt_who_stays_in_doubt_is_asked_to_move(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model, liveness=judging(0.99 + CLEAR), in_doubt=True)
    began_s = door.now_s
    while not door.prompts and door.now_s < began_s + 2 * PATIENCE_S:
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    assert door.verdicts == []
    assert door.prompts
    assert PATIENCE_S / 2 <= door.now_s - began_s < PATIENCE_S


@pytest.mark.parametrize("odds", [-8.0, 0.5])
def test_only_in_doubt_who_never_passed_is_refused_and_asked_nothing(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture], odds: float
) -> None:
    door = Asked(model, liveness=judging(odds), in_doubt=True)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, round(10 * PATIENCE_S) + 5)
    (verdict,) = door.verdicts
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")
    assert door.prompts == []


def test_only_in_doubt_another_face_in_between_takes_along_what_was_seen(
    model: FaceModel,
    obama: Snapshot,
    head: Callable[[Step, float], Picture],
    portrait: Callable[..., Picture],
) -> None:
    door = Asked(model, liveness=judging(0.99 + CLEAR), in_doubt=True)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 3)
    (visitor,) = door.pipeline.visitors
    assert visitor.trace.seen_alive
    door.see(scene(portrait("biden.jpg")), obama, 4)
    assert door.pipeline.visitors == [visitor]
    assert not visitor.trace.seen_alive


def test_a_face_that_is_asked_to_move_is_compared_and_judged_all_the_while(
    model: FaceModel,
    obama: Snapshot,
    head: Callable[[Step, float], Picture],
    portrait: Callable[..., Picture],
) -> None:
    door = Asked(model, liveness=judging(8.0))
    while not door.prompts:
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 12)
    (visitor,) = door.pipeline.visitors
    looks = len(visitor.trace.looks)
    assert visitor.challenge is not None
    assert len(visitor.challenge.found) >= 3
    assert looks >= 5
    door.see(scene(portrait("biden.jpg")), obama, 5)
    (visitor,) = door.pipeline.visitors
    assert len(visitor.trace.looks) < looks, "another face inherits no life in a challenge"


def test_a_photograph_that_does_nothing_is_refused(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 150)
    (verdict,) = door.verdicts
    assert (verdict.person_id, verdict.reason) == (None, "challenge_ignored")
    assert verdict.liveness is Liveness.FAILED


def test_who_leaves_in_a_challenge_has_ignored_it(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model)
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 20)
    assert door.step is not None
    assert door.verdicts == []
    reasons = broken_off(door, scene(), obama, int(LEAVE_S * FPS) + 5)
    assert reasons == ["challenge_ignored"]


def test_without_a_screen_nobody_is_accepted(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model)
    door.answers = False
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 50)
    (verdict,) = door.verdicts
    assert (verdict.person_id, verdict.reason) == (None, "challenge_not_shown")


@pytest.mark.parametrize(("odds", "reason"), [(1.0 + CLEAR, ""), (CLEAR, "challenge_not_shown")])
def test_only_in_doubt_and_without_a_screen_who_is_clearly_alive_is_accepted(
    model: FaceModel,
    obama: Snapshot,
    head: Callable[[Step, float], Picture],
    odds: float,
    reason: str,
) -> None:
    door = Asked(model, liveness=judging(odds), in_doubt=True)
    door.answers = False
    door.see(head(Step.LOOK_STRAIGHT, 0), obama, 50)
    (verdict,) = door.verdicts
    assert (verdict.person_id is not None, verdict.reason) == (not reason, reason)


def test_a_stranger_is_asked_nothing(
    model: FaceModel, obama: Snapshot, portrait: Callable[..., Picture]
) -> None:
    door = Asked(model)
    door.see(scene(portrait("biden.jpg")), obama, 30)
    assert door.prompts == []
    assert [v.reason for v in door.verdicts] == ["not_recognised"]


def test_another_person_who_takes_the_place_in_between_is_refused(
    model: FaceModel,
    obama: Snapshot,
    head: Callable[[Step, float], Picture],
    portrait: Callable[..., Picture],
) -> None:
    door = Asked(model)
    while not door.prompts:
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    for _ in range(130):
        if not door.verdicts:
            door.see(scene(portrait("biden.jpg")), obama)
    (verdict,) = door.verdicts
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")


def hidden_for_a_moment(door: Asked, gallery: Snapshot, picture: Picture) -> Challenge:
    """The visitor's challenge, after `picture` came in their place, out of sight for 0.1 s."""
    before = door.prompts[-1]
    door.see(np.full_like(picture, 110), gallery)
    door.see(picture, gallery, 6)
    (visitor,) = door.pipeline.visitors
    assert visitor.challenge is not None
    assert (door.prompts[-1] is before) == (not visitor.challenge.failures)
    return visitor.challenge


@pytest.mark.parametrize("who", ["obama2.jpg", "biden.jpg"])
def test_who_comes_out_of_sight_while_asked_goes_on_only_if_it_is_the_same_face(
    model: FaceModel,
    obama: Snapshot,
    head: Callable[[Step, float], Picture],
    portrait: Callable[..., Picture],
    who: str,
) -> None:
    door = Asked(model, seed=1)
    while door.step in (None, Step.LOOK_STRAIGHT):
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    challenge = hidden_for_a_moment(door, obama, scene(portrait(who)))
    assert bool(challenge.failures) == (who != "obama2.jpg")


def test_a_bystander_does_not_end_the_claim_of_who_is_asked_to_move(
    model: FaceModel, obama: Snapshot, portrait: Callable[..., Picture]
) -> None:
    door = Asked(model)
    claim = Claim(Claimed("obama", datetime(2026, 11, 1, tzinfo=UTC), "mark"), Factor.BADGE)
    both = scene(portrait("biden.jpg"), portrait("obama2.jpg"))
    verdicts: list[Verdict] = []
    asked: set[str] = set()
    for _ in range(300):
        door.now_s += 0.1
        (report,) = door.pipeline.step([door.frame(both)], obama, claim)
        asked |= {view.visit_id for view in report.tracks if view.prompt is not None}
        for view in report.tracks:
            if view.prompt is not None:
                door.challenges.shown(view.prompt.challenge_id)
        verdicts += [view.verdict for view in report.tracks if view.verdict is not None]
        assert len(report.tracks) == 2
        if verdicts:
            break
    (verdict,) = verdicts
    assert (verdict.reason, {verdict.visit_id}) == ("challenge_ignored", asked)


def test_another_gallery_ends_the_challenge_and_evidence_begins_anew(
    model: FaceModel, obama: Snapshot, head: Callable[[Step, float], Picture]
) -> None:
    door = Asked(model)
    while not door.prompts:
        door.see(head(Step.LOOK_STRAIGHT, 0), obama)
    door.pipeline.drop_evidence()
    nobody = Snapshot.empty(model.template_size)
    door.see(head(Step.LOOK_STRAIGHT, 0), nobody, 40)
    assert [v.accepted for v in door.verdicts] == [False]
    assert len(door.prompts) == 1
