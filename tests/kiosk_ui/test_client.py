"""The client between a real broker and the reducer."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from scripted_broker import scripted
from wire_samples import make_challenge

from oneglance.broker import embedded_broker
from oneglance.config import Config, DoorConfig, KioskConfig, LivenessConfig, MqttConfig
from oneglance.contract.commands import Command
from oneglance.contract.messages import (
    Decision,
    DoorState,
    Factor,
    Liveness,
    LockState,
    Mode,
    Outcome,
    Phase,
    Reply,
    ServiceState,
    Status,
    VisitState,
)
from oneglance.contract.preview import Picture, PreviewSender, half_of
from oneglance.contract.signing import create_signing_key, load_signing_key, sign, unpack
from oneglance.contract.topics import Topics
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.admin_link import UNHEARD, AdminLink
from oneglance.kiosk_ui.admin_secret import AdminKey
from oneglance.kiosk_ui.client import MAX_WAITING, KioskClient
from oneglance.kiosk_ui.reducer import (
    ChallengeArrived,
    ClockDoubted,
    Connected,
    DecisionArrived,
    Disconnected,
    DoorArrived,
    Event,
    LivenessMissed,
    PinAnswered,
    StatusArrived,
    Unheard,
    VisitArrived,
)
from oneglance.link import Arrival, Link

Wait = Callable[[Callable[[], bool], str], None]
TOPICS = Topics("home", "front")


def make_decision(
    sequence: int,
    *,
    issued_at: datetime,
    door: str = "front",
    liveness: Liveness = Liveness.PASSED,
) -> Decision:
    return Decision(
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=5),
        event_id=f"event-{sequence:04d}",
        site="home",
        door=door,
        visit_id="v1",
        outcome=Outcome.ACCEPTED,
        person_id="p1",
        person_name="Zaphod",
        score=3.0,
        threshold=1.0,
        model_id="m",
        mode=Mode.IDENTIFY,
        liveness=liveness,
        factors=(Factor.FACE,),
        sequence=sequence,
    )


@dataclass
class Kiosk:
    """A client at work, all that it reported, and a daemon's link to speak to it."""

    client: KioskClient
    daemon: Link
    wait: Wait
    seen: list[Event] = field(default_factory=list)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert self.daemon.publish(topic, payload, qos=1, retain=retain)

    def saw(self, kind: type[Event]) -> list[Event]:
        self.seen += self.client.drain()
        return [event for event in self.seen if isinstance(event, kind)]

    def flush(self) -> None:
        """All that was sent so far has been read: a visit that was sent last has arrived."""
        before = len(self.saw(VisitArrived))
        self.send(TOPICS.visit, visit_payload())
        self.wait(lambda: len(self.saw(VisitArrived)) > before, "the visit did not arrive")


def visit_payload(visit_id: str = "v1") -> bytes:
    now = datetime.now(UTC)
    return VisitState(issued_at=now, visit_id=visit_id, phase=Phase.LOOK).to_payload()


def status_payload(state: ServiceState = ServiceState.ONLINE) -> bytes:
    return Status(issued_at=datetime.now(UTC), state=state, software="0.1.0").to_payload()


@pytest.fixture
def config(broker: MqttConfig, key_files: tuple[Path, Path]) -> Config:
    return Config(mqtt=broker, kiosk=KioskConfig(public_key_file=key_files[1]))


@pytest.fixture
def kiosk(config: Config, wait_until: Wait) -> Iterator[Kiosk]:
    daemon = Link(config.mqtt, "daemon")
    daemon.start()
    client = KioskClient(config)
    client.start()
    at_work = Kiosk(client, daemon, wait_until)
    wait_until(lambda: daemon.connected and bool(at_work.saw(Connected)), "no connection")
    # The subscription may take a moment longer than the connection.
    at_work.send(TOPICS.status, status_payload(), retain=True)
    wait_until(lambda: bool(at_work.saw(StatusArrived)), "no status")
    yield at_work
    client.stop()
    daemon.stop()


def test_a_signed_decision_arrives_once_however_often_it_is_sent(
    kiosk: Kiosk, key_files: tuple[Path, Path]
) -> None:
    payload = sign(make_decision(1, issued_at=datetime.now(UTC)), load_signing_key(key_files[0]))
    for _ in range(3):
        kiosk.send(TOPICS.decision, payload)
    kiosk.flush()
    (arrived,) = kiosk.saw(DecisionArrived)
    assert isinstance(arrived, DecisionArrived)
    assert arrived.decision.person_name == "Zaphod"


def test_two_screens_at_one_door_both_see_all_of_it(
    kiosk: Kiosk, config: Config, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    second = KioskClient(config)
    second.start()
    other = Kiosk(second, kiosk.daemon, wait_until)
    wait_until(lambda: bool(other.saw(StatusArrived)), "the second hears nothing")
    decision = make_decision(1, issued_at=datetime.now(UTC))
    kiosk.send(TOPICS.decision, sign(decision, load_signing_key(key_files[0])))
    for screen in (kiosk, other):
        wait_until(lambda screen=screen: bool(screen.saw(DecisionArrived)), "one saw no decision")
        assert not screen.saw(Disconnected), "they throw each other out"
    second.stop()


def test_what_must_not_be_believed_is_not_shown_and_its_names_are_not_logged(
    kiosk: Kiosk,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = load_signing_key(key_files[0])
    create_signing_key(tmp_path / "other.key", tmp_path / "other.pub")
    now = datetime.now(UTC)
    good = sign(make_decision(5, issued_at=now), key)
    with caplog.at_level(logging.DEBUG):
        for payload in (
            sign(make_decision(5, issued_at=now), load_signing_key(tmp_path / "other.key")),
            make_decision(5, issued_at=now).to_payload(),
            good.replace(b"Zaphod", b"Arthur"),
            sign(make_decision(5, issued_at=now, door="back"), key),
            sign(make_decision(5, issued_at=now - timedelta(seconds=6)), key),
            sign(make_decision(5, issued_at=now + timedelta(hours=1)), key),
            b"",
            b'{"kind": "decision", "person_name": "Zaphod"}',
        ):
            kiosk.send(TOPICS.decision, payload)
        kiosk.send(TOPICS.decision, good, retain=True)
        kiosk.flush()
        refused = [r for r in caplog.records if "not shown" in r.getMessage()]
        # The good one came last, live though flagged to be retained: it alone is shown.
        (shown,) = kiosk.saw(DecisionArrived)
        # The daemon's own, for this door, that are too old and too new: nothing else tells of it.
        assert len(kiosk.saw(ClockDoubted)) == 2
    assert isinstance(shown, DecisionArrived)
    assert shown.decision.event_id == "event-0005"
    assert len(refused) == 8
    assert "Zaphod" not in caplog.text
    assert "Arthur" not in caplog.text


@pytest.mark.parametrize(
    ("policy", "lock", "welcome"),
    [("passive", None, False), ("off", None, True), ("off", True, False), ("passive", False, True)],
)
def test_nobody_is_welcome_here_whom_the_lock_refuses_for_want_of_liveness(
    policy: Literal["off", "passive"],
    lock: bool | None,
    welcome: bool,
    key_files: tuple[Path, Path],
) -> None:
    config = Config(
        liveness=LivenessConfig(policy=policy),
        door=DoorConfig(require_liveness=lock),
        kiosk=KioskConfig(public_key_file=key_files[1]),
    )
    client = KioskClient(config)
    unseen = make_decision(1, issued_at=datetime.now(UTC), liveness=Liveness.NOT_REQUIRED)
    client.arrived(arrival(TOPICS.decision, sign(unseen, load_signing_key(key_files[0]))))
    (event,) = client.drain()
    assert isinstance(event, DecisionArrived if welcome else LivenessMissed)


def test_only_a_signed_fresh_challenge_of_this_door_is_shown_and_once(
    kiosk: Kiosk, key_files: tuple[Path, Path], tmp_path: Path
) -> None:
    key = load_signing_key(key_files[0])
    create_signing_key(tmp_path / "other.key", tmp_path / "other.pub")
    old = datetime.now(UTC) - timedelta(seconds=6)
    for payload in (
        sign(make_challenge(5), load_signing_key(tmp_path / "other.key")),
        make_challenge(5).to_payload(),
        sign(make_challenge(5, door="back"), key),
        sign(make_challenge(5, issued_at=old, expires_at=old + timedelta(seconds=5)), key),
        sign(make_decision(5, issued_at=datetime.now(UTC)), key),
        *[sign(make_challenge(5, challenge_id="the-good-one"), key)] * 2,
    ):
        kiosk.send(TOPICS.challenge, payload)
    kiosk.flush()
    (shown,) = kiosk.saw(ChallengeArrived)
    assert isinstance(shown, ChallengeArrived)
    assert shown.challenge.challenge_id == "the-good-one"


def test_what_is_shown_is_told_to_the_daemon_once_and_signed_by_the_kiosks_key(
    config: Config, tmp_path: Path, wait_until: Wait
) -> None:
    create_signing_key(tmp_path / "kiosk.key", tmp_path / "kiosk.pub")
    asks = config.kiosk.model_copy(update={"key_file": tmp_path / "kiosk.key"})
    heard: list[Arrival] = []
    daemon = Link(
        config.mqtt, "daemon", subscriptions=((TOPICS.commands, 1),), on_message=heard.append
    )
    client = KioskClient(config.model_copy(update={"kiosk": asks}))
    daemon.start()
    client.start()
    at_work = Kiosk(client, daemon, wait_until)
    wait_until(lambda: daemon.connected and bool(at_work.saw(Connected)), "no connection")
    first, second = make_challenge(1), make_challenge(2)
    for challenge in (first, first, second):
        client.shown(challenge)
    wait_until(lambda: len(heard) == 2, "the daemon hears of both")
    commands = [unpack(arrival.payload, Command).message(Command) for arrival in heard]
    assert [c.args["challenge_id"] for c in commands] == [first.challenge_id, second.challenge_id]
    assert {(c.verb, c.key_id) for c in commands} == {("challenge-shown", "kiosk")}
    client.stop()
    daemon.stop()


def test_only_the_answer_to_its_own_last_pin_counts_and_once(
    config: Config, tmp_path: Path, wait_until: Wait
) -> None:
    create_signing_key(tmp_path / "kiosk.key", tmp_path / "kiosk.pub")
    asks = {"key_file": tmp_path / "kiosk.key", "pin_pad": True}
    config = config.model_copy(update={"kiosk": config.kiosk.model_copy(update=asks)})
    heard: list[Arrival] = []
    daemon = Link(
        config.mqtt, "daemon", subscriptions=((TOPICS.commands, 1),), on_message=heard.append
    )
    client = KioskClient(config)
    assert not client.claim("123456"), "there is no connection"
    daemon.start()
    client.start()
    at_work = Kiosk(client, daemon, wait_until)
    wait_until(lambda: daemon.connected and bool(at_work.saw(Connected)), "no connection")
    for pin in ("123456", "654321"):
        assert client.claim(pin)
    wait_until(lambda: len(heard) == 2, "the daemon hears of both")
    assert unpack(heard[1].payload, Command).message(Command).args == {"pin": "654321"}
    told = [(heard[0].correlation, "wait"), (b"another", "busy"), (None, "busy")]
    for correlation, code in (*told, (heard[1].correlation, "ok"), (heard[1].correlation, "ok")):
        reply = Reply(issued_at=datetime.now(UTC), ok=code == "ok", code=code, text="")
        assert heard[1].response_topic == TOPICS.reply("kiosk")
        assert daemon.publish(
            heard[1].response_topic, reply.to_payload(), qos=1, correlation=correlation
        )
    at_work.flush()
    assert at_work.saw(PinAnswered) == [PinAnswered("ok")]
    client.stop()
    daemon.stop()


def test_two_screens_with_one_key_each_get_their_own_picture(
    config: Config, key_files: tuple[Path, Path], tmp_path: Path, wait_until: Wait
) -> None:
    """They share a topic too, on which the frames of both come in one burst."""
    create_signing_key(tmp_path / "kiosk.key", tmp_path / "kiosk.pub")
    asks = config.kiosk.model_copy(update={"key_file": tmp_path / "kiosk.key"})
    screens = [KioskClient(config.model_copy(update={"kiosk": asks})) for _ in range(2)]
    heard: list[Arrival] = []
    daemon = Link(
        config.mqtt, "daemon", subscriptions=((TOPICS.commands, 1),), on_message=heard.append
    )
    daemon.start()
    wait_until(lambda: daemon.connected, "no connection")
    for screen in screens:
        screen.start()

    def asked() -> set[str]:
        """The key halves of those who ask for a picture."""
        for screen in screens:
            screen.picture(wanted=True)
        commands = [unpack(arrival.payload, Command).message(Command) for arrival in list(heard)]
        return {str(command.args["key"]) for command in commands}

    wait_until(lambda: len(asked()) == 2, "both ask")
    signing = load_signing_key(key_files[0])
    jpeg = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].tobytes()
    burst = [
        PreviewSender(TOPICS, signing, half_of(half)).seal(Picture(0, None, jpeg))
        for half in asked()
    ]
    for screen in screens:
        for frame in burst:
            screen.arrived(arrival(TOPICS.preview("kiosk"), frame))
    assert all(screen.picture(wanted=True) is not None for screen in screens)
    for screen in screens:
        screen.stop()
    daemon.stop()


def test_a_screen_without_a_key_shows_it_but_warns(
    kiosk: Kiosk, caplog: pytest.LogCaptureFixture
) -> None:
    kiosk.client.shown(make_challenge(1))
    assert "kiosk.key_file" in caplog.text


def with_retained(topic: str, payload: bytes, config: Config, wait_until: Wait) -> Link:
    """A daemon's link to a broker that holds this message, and a status after it.

    A client that subscribes before the broker has it would hear it live, without the mark.
    """
    heard: list[Arrival] = []
    daemon = Link(
        config.mqtt, "daemon", subscriptions=((TOPICS.status, 1),), on_message=heard.append
    )
    daemon.start()
    wait_until(lambda: daemon.connected, "no connection")
    assert daemon.publish(topic, payload, qos=1, retain=True)
    assert daemon.publish(TOPICS.status, status_payload(), qos=1, retain=True)
    wait_until(lambda: bool(heard), "the broker did not take the status")
    return daemon


def test_a_retained_decision_is_never_shown(
    config: Config, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    signed = sign(make_decision(1, issued_at=datetime.now(UTC)), load_signing_key(key_files[0]))
    daemon = with_retained(TOPICS.decision, signed, config, wait_until)
    client = KioskClient(config)
    client.start()
    kiosk = Kiosk(client, daemon, wait_until)
    try:
        wait_until(lambda: bool(kiosk.saw(StatusArrived)), "no status")
        kiosk.flush()
        assert not kiosk.saw(DecisionArrived)
    finally:
        client.stop()
        daemon.stop()


def test_a_retained_visit_is_never_shown(config: Config, wait_until: Wait) -> None:
    daemon = with_retained(TOPICS.visit, visit_payload("old"), config, wait_until)
    client = KioskClient(config)
    client.start()
    kiosk = Kiosk(client, daemon, wait_until)
    try:
        wait_until(lambda: bool(kiosk.saw(StatusArrived)), "no status")
        kiosk.flush()
        visits = [event.visit.visit_id for event in kiosk.seen if isinstance(event, VisitArrived)]
        assert visits == ["v1"]
    finally:
        client.stop()
        daemon.stop()


def test_what_waited_behind_a_frozen_window_has_expired(
    config: Config, key_files: tuple[Path, Path]
) -> None:
    now = datetime.now(UTC)
    late_s = 0.0
    client = KioskClient(
        config, wall=lambda: now + timedelta(seconds=late_s), monotonic_s=lambda: late_s
    )
    key = load_signing_key(key_files[0])
    client.arrived(arrival(TOPICS.decision, sign(make_decision(1, issued_at=now), key)))
    late_s = 5.5
    assert client.drain() == []
    client.arrived(
        arrival(TOPICS.decision, sign(make_decision(2, issued_at=now + timedelta(seconds=5)), key))
    )
    assert len(client.drain()) == 1


def test_after_a_clock_jump_no_decision_is_shown(
    config: Config, key_files: tuple[Path, Path]
) -> None:
    wall = datetime.now(UTC)
    client = KioskClient(config, wall=lambda: wall, monotonic_s=lambda: 100.0)
    client.drain()
    wall -= timedelta(hours=1)
    client.arrived(
        arrival(
            TOPICS.decision,
            sign(make_decision(1, issued_at=wall), load_signing_key(key_files[0])),
        )
    )
    assert client.drain() == [ClockDoubted()], "staff is told, and nobody named"


def test_the_locks_own_word_arrives_kept_or_not_and_nonsense_is_not_knowing(
    config: Config,
) -> None:
    client = KioskClient(config)
    state = DoorState(
        issued_at=datetime(2026, 11, 24, tzinfo=UTC), state=LockState.UNLOCKED, cause="event-0001"
    )
    for payload in (state.to_payload(), b"open"):
        client.arrived(Arrival(TOPICS.door_state, payload, True, None, None))
    assert client.drain() == [DoorArrived(state), DoorArrived(None)]


def test_a_flood_behind_a_frozen_window_is_dropped_but_the_last_status_is_kept(
    config: Config,
) -> None:
    client = KioskClient(config)
    for _ in range(3 * MAX_WAITING):
        client.arrived(arrival(TOPICS.visit, visit_payload()))
    client.arrived(arrival(TOPICS.status, status_payload(ServiceState.OFFLINE)))
    *visits, last = client.drain()
    assert len(visits) == MAX_WAITING
    assert isinstance(last, StatusArrived)
    assert last.status is not None
    assert last.status.state is ServiceState.OFFLINE


def test_an_unreadable_or_cleared_status_is_reported_as_not_knowing(kiosk: Kiosk) -> None:
    for payload in (b"", b"{}", b"\xff"):
        kiosk.send(TOPICS.status, payload)
    kiosk.flush()
    assert kiosk.saw(StatusArrived)[-3:] == [StatusArrived(None)] * 3


def test_a_hostile_field_name_cannot_write_lines_into_the_log(
    kiosk: Kiosk, caplog: pytest.LogCaptureFixture
) -> None:
    payload = visit_payload().replace(b'"v":1', b'"v":1,"\\u001b[2J\\nERROR all is lost":1')
    kiosk.send(TOPICS.visit, payload)
    kiosk.flush()
    (record,) = [r for r in caplog.records if "not shown" in r.getMessage()]
    assert record.getMessage().isprintable()


def test_a_broker_that_goes_away_is_noticed(key_files: tuple[Path, Path], wait_until: Wait) -> None:
    with embedded_broker() as mqtt:
        config = Config(mqtt=mqtt, kiosk=KioskConfig(public_key_file=key_files[1]))
        client = KioskClient(config)
        client.start()
        seen: list[Event] = []

        def saw(event: Event) -> bool:
            seen.extend(client.drain())
            return event in seen

        wait_until(lambda: saw(Connected()), "no connection")
    try:
        wait_until(lambda: saw(Disconnected()), "the end was not noticed")
        assert client.alive
    finally:
        client.stop()
    assert not client.alive


def test_without_the_public_key_the_kiosk_does_not_start(tmp_path: Path) -> None:
    config = Config(kiosk=KioskConfig(public_key_file=tmp_path / "missing.pub"))
    with pytest.raises(ConfigError, match=r"missing\.pub: the public key is missing"):
        KioskClient(config)


def test_the_units_stand_in_for_a_key_is_no_key_and_no_mistake(
    key_files: tuple[Path, Path], tmp_path: Path
) -> None:
    key_file = tmp_path / "kiosk.key"
    settings = KioskConfig(public_key_file=key_files[1], key_file=key_file)
    key_file.write_text("none")
    key_file.chmod(0o600)
    assert not KioskClient(Config(kiosk=settings)).claim("123456")
    key_file.write_text("nonsense")
    with pytest.raises(ConfigError):
        KioskClient(Config(kiosk=settings))


@pytest.fixture(scope="module")
def lone_client(tmp_path_factory: pytest.TempPathFactory) -> KioskClient:
    folder = tmp_path_factory.mktemp("keys")
    create_signing_key(folder / "signing.key", folder / "signing.pub")
    return KioskClient(Config(kiosk=KioskConfig(public_key_file=folder / "signing.pub")))


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_whatever_become_a_decision(
    lone_client: KioskClient, payload: bytes, retained: bool
) -> None:
    lone_client.arrived(Arrival(TOPICS.decision, payload, retained, None, None))
    assert lone_client.drain() == []


def arrival(topic: str, payload: bytes) -> Arrival:
    return Arrival(topic, payload, False, None, None)


def test_what_the_broker_does_not_let_a_screen_hear_is_told(
    key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    # In the order in which they are asked for: all granted but challenge and decision.
    with scripted(granted=(1, 0, 0, 0x87, 0x87, 1)) as mqtt:
        client = KioskClient(Config(mqtt=mqtt, kiosk=KioskConfig(public_key_file=key_files[1])))
        client.start()
        seen: list[Event] = []

        def told() -> bool:
            seen.extend(client.drain())
            return Unheard(("challenge", "decision")) in seen

        try:
            wait_until(told, "it is not told")
        finally:
            client.stop()


def test_an_administrator_who_may_not_hear_the_answers_does_not_wait_for_them(
    key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    with scripted(granted=(0x87,)) as mqtt:
        key = AdminKey("admin", load_signing_key(key_files[0]))
        link = AdminLink(Config(mqtt=mqtt), key, answer_s=math.inf)
        answers: list[str] = []

        def answered() -> bool:
            link.turn()
            return bool(answers)

        try:
            link.ask("list", lambda code, _: answers.append(code))
            wait_until(answered, "still waiting")
        finally:
            link.stop()
    assert answers == [UNHEARD]


def test_only_the_daemons_own_answer_to_this_question_reaches_the_administration(
    key_files: tuple[Path, Path], broker: MqttConfig, wait_until: Wait
) -> None:
    """Whoever owns the broker can put another name beside an id, which is then signed for."""
    daemons, strangers = load_signing_key(key_files[0]), Ed25519PrivateKey.generate()
    heard: list[Arrival] = []
    topics = Topics(Config().site.name, Config().site.door)
    daemon = Link(broker, "daemon", subscriptions=((topics.commands, 1),), on_message=heard.append)
    daemon.start()
    assert daemon.wait_connected(60)
    kiosk = KioskConfig(public_key_file=key_files[1])
    link = AdminLink(Config(mqtt=broker, kiosk=kiosk), AdminKey("admin", strangers), math.inf)
    answers: list[tuple[str, str]] = []

    def asked(verb: str) -> Callable[..., None]:
        """Ask, and how to answer that."""
        link.ask(verb, lambda code, text: answers.append((code, text)))
        wait_until(lambda: link.turn() is None and bool(heard), "nothing was asked", 60.0)
        question = heard.pop()
        nonce = json.loads(question.payload)["nonce"]

        def answer(
            key: Ed25519PrivateKey | None, text: str, *, code: str = "ok", nonce: str = nonce
        ) -> None:
            told = {"ok": code == "ok", "code": code, "text": text}
            reply = Reply(issued_at=datetime.now(UTC), nonce=nonce, **told)
            payload = reply.to_payload() if key is None else sign(reply, key)
            assert question.response_topic is not None
            daemon.publish(
                question.response_topic, payload, qos=1, correlation=question.correlation
            )

        return answer

    try:
        answer = asked("list")
        answer(None, "ada  Eve")
        answer(strangers, "ada  Eve")
        answer(daemons, "ada  Eve", nonce="0" * 32)
        answer(None, "told to be one", code="pose")
        answer(daemons, "ada  Ada")
        wait_until(lambda: link.turn() is None and bool(answers), "no answer came", 60.0)
        assert answers == [("ok", "ada  Ada")]
        # Who can keep the question from the daemon may as well say that it was refused.
        asked("list")(None, "", code="unknown_key", nonce="")
        wait_until(lambda: link.turn() is None and len(answers) > 1, "no answer came", 60.0)
        assert answers[1:] == [("unknown_key", "")]
    finally:
        link.stop()
        daemon.stop()
