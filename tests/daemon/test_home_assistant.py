"""What Home Assistant is told: what it makes of the messages, when they are said and taken back.

`make test-home-assistant` shows the same in a real one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typer.testing import CliRunner
from wire_samples import make_decision

from oneglance.cli.main import app
from oneglance.clocks import Clocks
from oneglance.config import Config, HomeAssistantConfig, MqttConfig
from oneglance.contract.discovery import (
    AGAIN_AFTER_S,
    SETTLED_AFTER_S,
    Announcer,
    announced,
)
from oneglance.contract.messages import (
    LOCK_TEST,
    DoorState,
    Hint,
    LockState,
    Message,
    Outcome,
    Phase,
    Result,
    ServiceState,
    Status,
    VisitState,
)
from oneglance.contract.signing import load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.daemon.build import home_assistant
from oneglance.daemon.voice.home_assistant import announcements
from oneglance.daemon.voice.outbox import Outgoing
from oneglance.daemon.voice.publisher import Publisher
from oneglance.link import Link

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
TOPICS = Topics("test", "front")
LEVELS = st.from_regex(r"[ab][ab_-]{0,2}", fullmatch=True)
# As Home Assistant's homeassistant/components/mqtt/discovery.py has it.
DISCOVERY = re.compile(r"(\w+)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")
Wait = Callable[..., None]


def entities(*cameras: str, topics: Topics = TOPICS) -> dict[str, dict[str, Any]]:
    """What is announced, by its key."""
    told = announcements(topics, "homeassistant", cameras)
    return {topic.split("/")[-2]: json.loads(payload) for topic, payload in told.items()}


def shown(entity: dict[str, Any], message: Message, before: str = "unknown") -> Any:
    """What Home Assistant makes of a message."""
    environment = ImmutableSandboxedEnvironment()
    environment.filters["to_json"] = json.dumps
    body = json.loads(message.to_payload())
    template = environment.from_string(entity["value_template"])
    return template.render(value_json=body, this={"state": before})


@settings(max_examples=40)
@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=2, max_size=2, unique=True), LEVELS)
def test_every_entity_of_every_door_has_a_name_of_its_own(
    doors: list[tuple[str, str]], camera: str
) -> None:
    told = [announcements(Topics(*door), "homeassistant", [camera]) for door in doors]
    for topic in told[0] | told[1]:
        assert DISCOVERY.fullmatch(topic.removeprefix("homeassistant/"))
        assert "/oneglance_" in topic
    assert not set(told[0]) & set(told[1])
    bodies = [json.loads(payload) for one in told for payload in one.values()]
    assert len({body["unique_id"] for body in bodies}) == len(bodies)
    assert len({body["device"]["identifiers"][0] for body in bodies}) == 2


def test_nothing_that_is_announced_commands_anything() -> None:
    told = announcements(TOPICS, "homeassistant", ["front"])
    assert {topic.split("/")[1] for topic in told} == {"binary_sensor", "sensor", "event"}
    for payload in told.values():
        assert "command" not in payload.decode()
        assert TOPICS.decision not in payload.decode()


@pytest.mark.parametrize(
    ("key", "reasons", "what"),
    [
        ("camera_front", (), "ON"),
        ("camera_front", ("camera_slow:front", "camera_lost:front-2"), "ON"),
        ("camera_front", ("clock_set", "camera_dark:front"), "OFF"),
        ("problem", (), "OFF"),
        ("problem", ("clock_set",), "ON"),
        ("connection", ("clock_set",), "ON"),
        ("status", ("clock_set",), "degraded"),
        ("model", (), "model-1 int8"),
    ],
)
def test_a_status_is_shown(key: str, reasons: tuple[str, ...], what: str) -> None:
    state = ServiceState.DEGRADED if reasons else ServiceState.ONLINE
    status = Status(
        issued_at=NOW,
        state=state,
        reasons=reasons,
        software="0",
        model_id="model-1",
        model_variant="int8",
    )
    assert shown(entities("front")[key], status) == what


def test_visits_results_and_the_lock_are_shown() -> None:
    told = entities()
    look = VisitState(issued_at=NOW, visit_id="v", phase=Phase.LOOK, hint=Hint.STEP_BACK)
    idle = VisitState(issued_at=NOW, visit_id="", phase=Phase.IDLE)
    assert [shown(told["visitor"], visit) for visit in (look, idle)] == ["ON", "OFF"]
    assert shown(told["hint"], look, "backlit") == "step_back"
    assert shown(told["hint"], idle, "backlit") == "backlit"
    assert shown(told["hint"], idle, "unavailable") == "none"
    result = Result.of(make_decision(1), names=False)
    event = json.loads(shown(told["decision"], result))
    assert (event["event_type"], event["person"]) == ("accepted", None)
    assert event["event_type"] in told["decision"]["event_types"]
    for state, lock, fault in (
        (LockState.LOCKED, "OFF", "OFF"),
        (LockState.UNLOCKED, "ON", "OFF"),
        (LockState.FAULT, "None", "ON"),
    ):
        said = DoorState(issued_at=NOW, state=state)
        assert (shown(told["lock"], said), shown(told["lock_fault"], said)) == (lock, fault)


class Broker:
    """Keeps what is retained, and may refuse to take anything."""

    def __init__(self) -> None:
        self.takes = True
        self.sent: list[str] = []
        self.kept: dict[str, bytes] = {}

    def __call__(self, topic: str, payload: bytes) -> bool:
        """A Send."""
        if self.takes:
            self.sent.append(topic)
            self.kept[topic] = payload
        return self.takes


def pumped(announcer: Announcer, broker: Broker, now_s: float, times: int = 5) -> list[str]:
    """What was sent in so many turns."""
    broker.sent.clear()
    for _ in range(times):
        announcer.pump(now_s, broker)
    return broker.sent[:]


A, B, C = (f"homeassistant/sensor/oneglance_aXb/{key}/config" for key in "abc")


def test_everything_is_said_one_a_turn_and_again_after_each_connection(tmp_path: Path) -> None:
    broker, announcer = Broker(), Announcer({A: b"1", B: b"2"}, tmp_path / "said")
    assert pumped(announcer, broker, 0.0) == []
    announcer.connected(0.0)
    assert pumped(announcer, broker, 0.0, times=1) == [A]
    broker.takes = False
    assert pumped(announcer, broker, 0.0) == []
    broker.takes = True
    assert pumped(announcer, broker, 0.0) == [B]
    announcer.connected(1.0)
    assert pumped(announcer, broker, 1.0) == [A, B]


def test_a_flood_of_births_is_answered_now_and_then(tmp_path: Path) -> None:
    broker, announcer = Broker(), Announcer({A: b"1"}, tmp_path / "said")
    announcer.connected(0.0)
    assert pumped(announcer, broker, 0.0) == [A]
    for now_s in range(1, int(AGAIN_AFTER_S)):
        announcer.born(now_s)
        assert pumped(announcer, broker, now_s) == []
    assert pumped(announcer, broker, AGAIN_AFTER_S) == [A]
    announcer.born(3 * AGAIN_AFTER_S)
    assert pumped(announcer, broker, 3 * AGAIN_AFTER_S) == [A]


def test_what_is_announced_no_more_is_taken_back_and_forgotten_only_then(tmp_path: Path) -> None:
    file, broker = tmp_path / "said", Broker()
    Announcer({A: b"1", B: b"2"}, file)
    assert announced(file) == {A, B}
    announcer = Announcer({B: b"2", C: b"3"}, file)
    announcer.connected(0.0)
    pumped(announcer, broker, 0.0)
    assert broker.kept == {A: b"", B: b"2", C: b"3"}
    # The connection breaks: nobody knows what the broker had.
    announcer.connected(1.0)
    pumped(announcer, broker, 1.0)
    announcer.pump(SETTLED_AFTER_S, broker)
    assert announced(file) == {A, B, C}
    announcer.pump(1.0 + SETTLED_AFTER_S, broker)
    assert announced(file) == {B, C}

    former = Announcer({}, file)
    former.connected(0.0)
    pumped(former, broker, 0.0)
    assert set(broker.kept.values()) == {b""}
    former.pump(SETTLED_AFTER_S, broker)
    assert not file.exists()


def test_a_file_that_was_tampered_with_takes_back_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "said"
    file.write_text(f"oneglance/v1/home/front/status\nhomeassistant/light/zigbee/config\n{A}\n")
    assert announced(file) == {A}
    file.write_bytes(b"\xff\xfe")
    assert announced(file) == set()


def test_the_daemon_announces_tells_results_without_a_name_and_takes_all_back(
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
    house: Callable[..., Config],
    key_files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    moved_s, sequence = 0.0, iter(range(1, 99))
    clocks = Clocks(lambda: datetime.now(UTC), lambda: time.monotonic() + moved_s)
    listener = listen(broker)
    kept: dict[str, bytes] = {}
    eyes = Link(
        broker,
        "eyes",
        subscriptions=(("homeassistant/#", 1),),
        on_message=lambda arrival: kept.update({arrival.topic: arrival.payload}),
    )
    eyes.start()
    assert eyes.wait_connected(20)

    def speak(
        until: Callable[[Publisher], bool], *, tests_lock: bool = False, **options: Any
    ) -> None:
        config = house("0", mqtt=broker, home_assistant=HomeAssistantConfig(**options))
        publisher = Publisher(
            broker,
            TOPICS,
            model_id="model-1",
            model_variant="int8",
            clocks=clocks,
            on_command=lambda _: None,
            home_assistant=home_assistant(config, TOPICS),
        )
        publisher.start(20)
        key = load_signing_key(key_files[0])
        if tests_lock:
            tested = make_decision(next(sequence), outcome=Outcome.REJECTED, reason=LOCK_TEST)
            publisher.decision(Outgoing(sign(tested, key), clocks.monotonic_s() + 5))
        payload = sign(make_decision(next(sequence)), key)
        publisher.decision(Outgoing(payload, clocks.monotonic_s() + 5))

        def came() -> bool:
            publisher.pump()
            return until(publisher)

        wait_until(came, f"with {options}")
        publisher.stop()

    entity = "homeassistant/binary_sensor/oneglance_testXfront/camera_cam0/config"
    results = lambda: [json.loads(a.payload) for a in listener.on(TOPICS.result)]  # noqa: E731
    speak(lambda _: entity in kept and bool(results()), discovery=True)
    assert results()[0]["outcome"] == Outcome.ACCEPTED
    assert "Lovelace" not in listener.on(TOPICS.result)[0].payload.decode()
    # A test of the lock was nobody at the door.
    speak(lambda _: len(results()) == 2, discovery=True, names=True, tests_lock=True)
    assert results()[1]["person_name"] == "Ada Lovelace"

    speak(lambda _: not any(kept.values()))
    moved_s += SETTLED_AFTER_S
    speak(lambda _: len(listener.on(TOPICS.decision)) == 5)
    assert len(results()) == 2
    eyes.stop()
    (tmp_path / "home-assistant").write_text(f"{entity}\n")
    file = tmp_path / "oneglance.toml"
    file.write_text(
        f'[site]\nname = "test"\n[mqtt]\nport = {broker.port}\n'
        f'[signing]\nsequence_file = "{tmp_path}/sequence"\n'
    )
    ended = CliRunner().invoke(app, ["home-assistant", "remove", "--config", str(file)])
    assert (ended.exit_code, ended.stdout) == (0, "11 entities were taken back\n")
    assert not (tmp_path / "home-assistant").exists()
    told = CliRunner().invoke(app, ["home-assistant", "show", "--config", str(file)])
    assert "homeassistant/sensor/oneglance_testXfront/hint/config" in json.loads(told.stdout)
