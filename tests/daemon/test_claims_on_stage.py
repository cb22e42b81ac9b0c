"""Claims with the real model on real faces, and with a real broker from badge to decision."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_samples import ring_file, write
from people_on_stage import Pixels, Stage, face_of
from test_pipeline import judging

from oneglance.access_config import AccessConfig, AccessRule
from oneglance.clocks import Clocks
from oneglance.config import CommandsConfig, Config, MqttConfig
from oneglance.contract.keyring import Role
from oneglance.contract.messages import (
    NOT_PERMITTED,
    AccessState,
    Decision,
    Factor,
    Mode,
    Reply,
    parse,
)
from oneglance.contract.signing import check, load_public_key
from oneglance.contract.topics import Topics
from oneglance.daemon.access.attempts_file import read_attempts
from oneglance.daemon.access.entrance import Entrance
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.gallery.keeper import Held
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.watcher import LEAVE_S
from oneglance.daemon.vision import Vision
from oneglance.daemon.visit.claims import Claim
from oneglance.daemon.visit.decide import NOTHING_COMPARED, Rule, Verdict
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.verbs import Sender
from oneglance.faces.gallery.credentials import (
    Claimed,
    CredentialFile,
    Credentials,
    write_credentials,
)
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import Person, Snapshot
from oneglance.faces.gallery.vault import TemplateKey, load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.tail import tail_of
from oneglance.sdnotify import Notifier

Permit = Callable[[Verdict, Snapshot], Verdict]

TOPICS = Topics("test", "front")
FPS = 10.0
PATIENCE_S = 1.0
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Bench:
    """A pipeline whose clock and pictures the test gives, ten a second."""

    def __init__(
        self, model: FaceModel, permit: Permit = lambda verdict, _gallery: verdict
    ) -> None:
        self.now_s = 1000.0
        self.rule = Rule(1e-3, 3, PATIENCE_S, tail_of(model.manifest.raw["thresholds"]))
        self.pipeline = Pipeline(
            model,
            door_detector(),
            self.rule,
            same_face=model.threshold("1e-3"),
            min_face_px=80,
            lifetime_s=5.0,
            clock_s=lambda: self.now_s,
            permit=permit,
        )

    def show(
        self,
        pixels: Pixels,
        gallery: Snapshot | None,
        claim: Claim | None,
        frames: int,
        under_way: Snapshot | None = None,
    ) -> list[tuple[int, Verdict]]:
        """Each verdict, and after how many frames it came."""
        verdicts = []
        for number in range(1, frames + 1):
            self.now_s += 1 / FPS
            frame = Frame(pixels, self.now_s, self.now_s, number, "cam")
            for report in self.pipeline.step([frame], gallery, claim, under_way=under_way):
                verdicts += [(number, v.verdict) for v in report.tracks if v.verdict is not None]
        return verdicts


@pytest.fixture
def bench(model: FaceModel) -> Bench:
    return Bench(model)


@pytest.fixture(scope="module")
def stage(photos: Path) -> Stage:
    return Stage(photos, "obama2.jpg", "biden.jpg")


@pytest.fixture(scope="module")
def gallery(photos: Path) -> Snapshot:
    """Obama with one template, Biden with three."""
    names = {"biden": "Joe Biden", "obama": "Barack Obama"}
    biden, obama = (face_of(photos / f"{name}.jpg").template for name in names)
    return Snapshot(("biden",) * 3 + ("obama",), names, np.stack([biden, biden, biden, obama]))


class Unlogged:
    """An audit log of a door at which nobody is locked out."""

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> None:
        assert kind == "attempts"

    def last(self, kind: str) -> None:
        assert kind == "attempts"


def claim_of(person_id: str | None) -> Claim:
    return Claim(Claimed(person_id, NOW, "mark"), Factor.BADGE)


OBAMA = ("obama2.jpg", 320.0, 240.0)


def test_the_claimed_persons_face_is_verified_by_the_threshold_of_one_person(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    verdicts = bench.show(stage.frame(OBAMA), gallery.only("obama"), claim_of("obama"), 15)
    ((_, verdict),) = verdicts
    assert (verdict.person_id, verdict.mode) == ("obama", Mode.VERIFY)
    assert verdict.shown == (Factor.FACE, Factor.BADGE)
    assert verdict.threshold == bench.rule.bar(1).threshold < bench.rule.bar(4).threshold


def test_who_is_claimed_but_may_not_come_in_keeps_their_score(
    model: FaceModel, stage: Stage, gallery: Snapshot
) -> None:
    def never(verdict: Verdict, _gallery: Snapshot) -> Verdict:
        return (
            replace(verdict, person_id=None, reason=NOT_PERMITTED) if verdict.accepted else verdict
        )

    bench = Bench(model, permit=never)
    ((_, verdict),) = bench.show(stage.frame(OBAMA), gallery.only("obama"), claim_of("obama"), 15)
    assert (verdict.reason, verdict.mode) == (NOT_PERMITTED, Mode.VERIFY)
    assert verdict.score == NOTHING_COMPARED
    assert verdict.threshold == bench.rule.bar(1).threshold


def test_who_is_enrolled_but_not_claimed_is_rejected(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    ((_, verdict),) = bench.show(stage.frame(OBAMA), gallery.only("biden"), claim_of("biden"), 40)
    assert (verdict.person_id, verdict.reason) == (None, "not_recognised")
    assert (verdict.mode, verdict.score) == (Mode.VERIFY, NOTHING_COMPARED)


def test_a_wrong_face_gets_the_same_answer_after_the_same_time_if_nobody_is_claimed(
    model: FaceModel, stage: Stage, gallery: Snapshot
) -> None:
    answers = []
    for person_id in ("biden", None):
        ((frames, verdict),) = Bench(model).show(
            stage.frame(OBAMA), gallery.only(person_id or ""), claim_of(person_id), 40
        )
        answers.append((frames, verdict.reason, verdict.score, verdict.threshold, verdict.mode))
    assert answers[0] == answers[1]


def test_a_claim_is_spent_on_one_of_two_faces(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    both = stage.frame(("obama2.jpg", 160.0, 240.0), ("biden.jpg", 480.0, 240.0))
    bench.show(both, gallery.only("obama"), claim_of("obama"), 2)
    verdicts = bench.show(both, gallery.only("obama"), claim_of("obama"), 1)
    assert [verdict.person_id for _, verdict in verdicts] == ["obama"]


def test_whoever_stands_there_begins_a_new_visit_with_a_claim(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    ((_, first),) = bench.show(stage.frame(OBAMA), gallery, None, 10)
    bench.pipeline.renew()
    ((_, second),) = bench.show(stage.frame(OBAMA), gallery.only("obama"), claim_of("obama"), 10)
    assert (first.person_id, second.person_id) == ("obama", "obama")
    assert first.visit_id != second.visit_id


def test_another_try_is_for_visits_that_have_their_decision(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    bench.show(stage.frame(OBAMA), gallery, None, 2)
    bench.pipeline.renew(decided=True)
    assert len(bench.show(stage.frame(OBAMA), gallery, None, 1)) == 1
    bench.pipeline.renew(decided=True)
    assert len(bench.show(stage.frame(OBAMA), gallery, None, 10)) == 1


class Seeing:
    """The bench's pipeline in a vision thread that turns when the test says so."""

    def __init__(self, bench: Bench, entrance: Entrance) -> None:
        self.bench = bench
        self.reports: list[StepReport] = []
        self.exchange = FrameExchange(("cam",))
        self.keeper = SimpleNamespace(held=Held(None, 0, "gallery_error"))
        self.vision = Vision(
            *(self.exchange, bench.pipeline, Notifier()),
            Clocks(lambda: NOW, lambda: bench.now_s),
            gallery=self.keeper,  # type: ignore[arg-type]
            outlet=None,
            entrance=entrance,
            on_step=self.reports.append,
        )

    def show(self, pixels: Pixels, gallery: Snapshot, frames: int) -> list[Verdict]:
        """The verdicts about so many frames, ten a second, while this gallery is held."""
        if self.keeper.held.snapshot is not gallery:
            self.keeper.held = Held(gallery, self.keeper.held.version + 1, "")
        self.reports.clear()
        for number in range(frames):
            self.bench.now_s += 1 / FPS
            now_s = self.bench.now_s
            self.exchange["cam"].put(Frame(pixels, now_s, now_s, number, "cam"))
            self.vision.turn()
        views = [view for report in self.reports for view in report.tracks]
        return [view.verdict for view in views if view.verdict is not None]


def entrance_of(bench: Bench, folder: Path) -> Entrance:
    """The entrance of a door as it is configured by default, by the bench's clock."""
    return Entrance(
        AccessConfig(),
        folder / "attempts",
        CredentialFile(folder / "credentials", TemplateKey(bytes(32))),
        Unlogged(),
        lambda: bench.now_s,
    )


def test_a_stranger_who_stays_keeps_nobody_beside_them_waiting_for_ever(
    bench: Bench, stage: Stage, gallery: Snapshot, tmp_path: Path
) -> None:
    only_obama = gallery.only("obama")
    entrance = entrance_of(bench, tmp_path)
    seeing = Seeing(bench, entrance)
    both = stage.frame(("biden.jpg", 160.0, 240.0), ("obama2.jpg", 480.0, 240.0))
    alone = stage.frame(("biden.jpg", 160.0, 240.0))
    for number in range(AccessConfig().attempts.free):
        failed = Verdict(f"visit-{number}", None, 0.0, 1.0, "not_recognised")
        entrance.concluded(failed, None)
    # The stranger is rejected, and all faces without a claim have to wait.
    (rejected,) = seeing.show(alone, only_obama, 10)
    assert rejected.reason == "not_recognised"
    (wait,) = entrance.state(NOW).waits
    assert 1 < wait.seconds < 2
    assert seeing.show(both, only_obama, int(wait.seconds * FPS)) == []
    (verdict,) = seeing.show(both, only_obama, 25)
    assert verdict.person_id == "obama"


def test_whoever_takes_a_picture_away_in_time_waits_like_one_who_was_refused(
    bench: Bench, stage: Stage, gallery: Snapshot, tmp_path: Path
) -> None:
    entrance = entrance_of(bench, tmp_path)
    bench.pipeline.liveness = judging(0.0)
    seeing = Seeing(bench, entrance)
    only_obama, empty = gallery.only("obama"), stage.frame()
    for number in range(1, 4):
        assert seeing.show(stage.frame(OBAMA), only_obama, 5) == []
        assert entrance.state(NOW).waits == ()
        assert seeing.show(empty, only_obama, round(LEAVE_S * FPS) + 2) == []
        (wait,) = entrance.state(NOW).waits
        assert 2**number - 1 < wait.seconds <= 2**number
        seeing.show(empty, only_obama, round(wait.seconds * FPS) + 1)
    assert seeing.vision.broken_off_for == {"presentation_attack": 3}
    assert seeing.vision.rejected == 0


def test_who_goes_in_with_somebody_else_raises_no_alarm(
    bench: Bench, stage: Stage, gallery: Snapshot, tmp_path: Path
) -> None:
    entrance = entrance_of(bench, tmp_path)
    bench.pipeline.liveness = judging(0.0)
    seeing = Seeing(bench, entrance)
    only_obama = gallery.only("obama")
    entrance.concluded(Verdict("visit-1", "ada", 9.0, 1.0, ""), None)
    assert seeing.show(stage.frame(OBAMA), only_obama, 5) == []
    assert seeing.show(stage.frame(), only_obama, round(LEAVE_S * FPS) + 2) == []
    assert entrance.state(NOW).waits == ()
    assert seeing.vision.broken_off_for == {}


def test_who_is_being_looked_at_when_somebody_else_fails_is_looked_at_to_the_end(
    bench: Bench, stage: Stage, gallery: Snapshot
) -> None:
    only_obama = gallery.only("obama")
    alone = stage.frame(("obama2.jpg", 480.0, 240.0))
    both = stage.frame(("biden.jpg", 160.0, 240.0), ("obama2.jpg", 480.0, 240.0))
    assert bench.show(alone, only_obama, None, 2) == []
    # Faces wait from here on: who comes now is not looked at, however long that lasts.
    ((_, verdict),) = bench.show(both, None, None, 20, under_way=only_obama)
    assert verdict.person_id == "obama"
    assert bench.show(both, None, None, 20, under_way=only_obama) == []


@pytest.mark.parametrize("looks", [0, 2])
def test_nobody_who_takes_a_place_in_a_wait_is_judged_before_it_is_over(
    bench: Bench, stage: Stage, gallery: Snapshot, looks: int
) -> None:
    only_obama = gallery.only("obama")
    bench.show(stage.frame(("biden.jpg", 320.0, 240.0)), only_obama, None, looks)
    known = stage.frame(("obama2.jpg", 320.0, 240.0))
    assert bench.show(known, None, None, 25, under_way=only_obama) == []
    bench.pipeline.wait_is_over()
    ((_, verdict),) = bench.show(known, only_obama, None, 25)
    assert verdict.person_id == "obama"


def test_a_claim_that_the_daemon_cannot_judge_now_has_not_failed(
    bench: Bench, stage: Stage, gallery: Snapshot, tmp_path: Path
) -> None:
    obama = Person("obama", "Barack Obama", NOW, NOW, None, 1, ("m",))
    people = replace(gallery, people={"obama": obama})
    key, file = TemplateKey(bytes(32)), tmp_path / "credentials"
    write_credentials(file, key, Credentials.none().with_badge("obama", NOW, "A1"))
    entrance = Entrance(
        *(AccessConfig(), tmp_path / "attempts", CredentialFile(file, key)),
        Unlogged(),
        lambda: bench.now_s,
    )
    seeing = Seeing(bench, entrance)
    bench.pipeline.problem = "liveness_model"
    entrance.claim({"badge": "A1"}, Sender("reader", Role.READER))
    over_s = bench.now_s + AccessConfig().claim_s
    while bench.now_s + 1.0 < over_s:
        bench.now_s += 0.5
        assert seeing.show(stage.frame(OBAMA), people, 1) == []
    assert entrance.state(NOW).claim is Factor.BADGE
    bench.now_s = over_s
    assert entrance.turn(people).gallery is people
    assert entrance.state(NOW).claim is None
    assert (seeing.vision.accepted, seeing.vision.rejected) == (0, 0)
    assert read_attempts(tmp_path / "attempts").counts == {}


@contextmanager
def running(daemon: Daemon) -> Iterator[None]:
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield
    finally:
        daemon.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_from_a_badge_and_a_face_to_an_accepted_decision(
    house: Callable[..., Config],
    enrol: Callable[..., None],
    gallery: Snapshot,
    stage: Stage,
    tmp_path: Path,
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    key_files: tuple[Path, Path],
    wait_until: Callable[..., None],
) -> None:
    enrol("Joe Biden", templates=gallery.templates[:1])
    enrol("Barack Obama", templates=gallery.templates[3:])
    config = house(
        network_camera.url,
        mqtt=broker,
        pace="real",
        commands=CommandsConfig(keyring_file=ring_file(tmp_path)),
        access=AccessConfig(rules=(AccessRule(factors=("badge+face",)),)),
    )
    key = load_key(config.gallery.key_file)
    with Gallery.open(config.gallery.path, key) as people:
        since = {person.person_id: person.created_at for person in people.list_people()}
    held = Credentials.none().with_badge("barack-obama", since["barack-obama"], "A1")
    held = held.with_badge("joe-biden", since["joe-biden"], "B2")
    write_credentials(config.credentials_file, key, held)
    network_camera.period_s = 0.1
    network_camera.show(stage.frame(OBAMA))
    listener = listen(broker)
    public_key = load_public_key(key_files[1])

    def decisions() -> list[Decision]:
        return [check(arrival.payload, public_key) for arrival in listener.on(TOPICS.decision)]

    def shown(number: str) -> Reply:
        answers = TOPICS.reply("reader")
        answered = len(listener.on(answers))
        payload = write(TOPICS, Role.READER, "claim", reply_to=answers, badge=number)
        listener.link.publish(TOPICS.command("claim"), payload, qos=1, response_topic=answers)
        wait_until(lambda: len(listener.on(answers)) > answered, "no answer")
        return parse(listener.on(answers)[-1].payload, Reply)

    def claimed() -> list[Decision]:
        # Where a busy machine loses the face for a moment, it is judged without a claim once more.
        return [decision for decision in decisions() if decision.mode is Mode.VERIFY]

    def claim(number: str) -> Decision:
        before = len(claimed())
        # There is one claim a second.
        while (reply := shown(number)).code == "wait":
            threading.Event().wait(0.3)
        assert (reply.code, reply.text) == ("ok", "look at the camera")
        wait_until(lambda: len(claimed()) > before, "no decision")
        return claimed()[-1]

    with running(Daemon(config)):
        wait_until(lambda: decisions() != [], "nobody saw the face")
        face_alone = decisions()[0]
        accepted = claim("a1")
        wrong_face = claim("B2")
        badge_of_nobody = claim("F00")
    assert (face_alone.mode, face_alone.reason) == (Mode.IDENTIFY, "factor_missing")
    assert face_alone.person_id is None
    assert (accepted.mode, accepted.person_id) == (Mode.VERIFY, "barack-obama")
    assert accepted.factors == (Factor.FACE, Factor.BADGE)
    for refused in (wrong_face, badge_of_nobody):
        assert (refused.mode, refused.outcome, refused.reason) == (
            *("verify", "rejected"),
            "not_recognised",
        )
        assert (refused.score, refused.factors) == (NOTHING_COMPARED, ())
    assert len({d.visit_id for d in (face_alone, accepted, wrong_face, badge_of_nobody)}) == 4
    told = [parse(arrival.payload, AccessState) for arrival in listener.on(TOPICS.access)]
    assert {state.claim for state in told} == {Factor.BADGE, None}
