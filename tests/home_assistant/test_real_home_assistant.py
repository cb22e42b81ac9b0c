"""A door in a real Home Assistant, over a real mosquitto with the shipped ACL.

`make test-home-assistant` makes the environment that it runs in.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_desk import serving
from gpiozero.pins.mock import MockFactory
from mosquitto_fixture import ROLES, Mosquitto
from typer.testing import CliRunner
from wire_samples import make_decision

from oneglance.broker import free_port
from oneglance.cli.main import app as command_line
from oneglance.clocks import Clocks
from oneglance.config import (
    AssistantConfig,
    CameraConfig,
    Config,
    DoorConfig,
    HomeAssistantConfig,
    SigningConfig,
)
from oneglance.contract.commands import Args
from oneglance.contract.discovery import AGAIN_AFTER_S, SETTLED_AFTER_S, announced
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import (
    DoorState,
    Hint,
    Liveness,
    LockState,
    Outcome,
    Phase,
    VisitState,
)
from oneglance.contract.preview import Picture, PreviewSender, half_of
from oneglance.contract.signing import load_public_key, load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.daemon.build import home_assistant
from oneglance.daemon.voice.outbox import Outgoing
from oneglance.daemon.voice.publisher import Publisher
from oneglance.daemon.voice.verbs import Verb
from oneglance.door.app import DoorApp
from oneglance.door.assistant.app import AssistantApp
from oneglance.key_files import create_key_pair
from oneglance.link import Link

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-home-assistant" / "bin" / "python"
PAGE = ROOT / "docs" / "home-assistant.md"
TOPICS = Topics("home", "front")
DECISION = "event.oneglance_home_front_decision"
LOCK = "binary_sensor.oneglance_home_front_lock"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="no Home Assistant here: 'make test-home-assistant' makes an environment with it",
)

States = dict[str, dict[str, Any]]


class Core:
    """A running Home Assistant that one can ask; `log` is what it complains about."""

    def __init__(self, folder: Path, mosquitto: Mosquitto) -> None:
        (folder / ".storage").mkdir(parents=True)
        (folder / "configuration.yaml").write_text(_configuration())
        entry = {
            "entry_id": "one",
            "version": 1,
            "minor_version": 2,
            "domain": "mqtt",
            "title": "mqtt",
            "options": {},
            "source": "user",
            "unique_id": None,
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "disabled_by": None,
            "data": {
                "broker": "127.0.0.1",
                "port": mosquitto.port,
                "username": ROLES["reader"],
                "password": "password-of-reader",
                "certificate": (mosquitto.folder / "ca.crt").read_text(),
            },
        }
        kept = {"version": 1, "minor_version": 2, "key": "core.config_entries"}
        (folder / ".storage" / "core.config_entries").write_text(
            json.dumps(kept | {"data": {"entries": [entry]}})
        )
        self._log = folder / "stderr"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(PYTHON), str(Path(__file__).with_name("headless.py")), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._line() == "ready", self.log

    @property
    def log(self) -> str:
        """Its own log, warnings and errors."""
        return self._log.read_text()

    def ask(self, question: str) -> Any:
        """The answer to `states` or `devices`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        """End it in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log
        return json.loads(line)


def _configuration() -> str:
    """The page's automations, and a lamp for them."""
    (automations,) = re.findall(
        r"<!-- example: automations -->\n```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    return f"""
homeassistant:
  name: test
http:
  server_host: 127.0.0.1
  server_port: {free_port()}
input_boolean:
  lamp:
light:
  - platform: template
    lights:
      hall:
        value_template: "{{{{ is_state('input_boolean.lamp', 'on') }}}}"
        turn_on:
          service: input_boolean.turn_on
          target:
            entity_id: input_boolean.lamp
        turn_off: []
automation:
{automations}"""


@pytest.fixture
def core(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Core]:
    """Home Assistant, as its own user of the broker."""
    running = Core(tmp_path / "core", mosquitto)
    yield running
    running.stop()


class Door:
    """The daemon's voice, the lock's, and a clock that can be moved on."""

    def __init__(self, mosquitto: Mosquitto, folder: Path, key: Path) -> None:
        self.moved_s = 0.0
        self._clocks = Clocks(lambda: datetime.now(UTC), lambda: time.monotonic() + self.moved_s)
        self._mosquitto = mosquitto
        self._folder = folder
        self._key = load_signing_key(key)
        self._sequence = 0
        self.lock = Link(mosquitto.mqtt("lock"), "test-lock")
        self.lock.start()
        assert self.lock.wait_connected(20)
        self.publisher: Publisher

    @contextmanager
    def talking(self, **settings: Any) -> Iterator[None]:
        """A daemon with this [home_assistant], online."""
        config = Config(
            camera=(CameraConfig(name="cam0", source=0), CameraConfig(name="yard", source=1)),
            signing=SigningConfig(sequence_file=self._folder / "sequence"),
            home_assistant=HomeAssistantConfig(**settings),
        )
        self.publisher = Publisher(
            self._mosquitto.mqtt("daemon"),
            TOPICS,
            model_id="model-1",
            model_variant="int8",
            clocks=self._clocks,
            on_command=lambda _: None,
            home_assistant=home_assistant(config, TOPICS),
        )
        assert self.publisher.start(20)
        self.publisher.set_reasons(())
        try:
            yield
        finally:
            self.publisher.stop()

    def decide(self, **changes: Any) -> None:
        """Publish a signed decision."""
        self._sequence += 1
        decision = make_decision(self._sequence, **changes)
        payload = sign(decision, self._key)
        self.publisher.decision(Outgoing(payload, self._clocks.monotonic_s() + 5))

    def see(self, phase: Phase, hint: Hint = Hint.NONE) -> None:
        """Publish a visit."""
        visit = VisitState(issued_at=datetime.now(UTC), visit_id="v", phase=phase, hint=hint)
        self.publisher.visit(visit)

    def bolt(self, state: LockState) -> None:
        """Publish the lock's state."""
        said = DoorState(issued_at=datetime.now(UTC), state=state)
        self.lock.publish(TOPICS.door_state, said.to_payload(), qos=1, retain=True)


def test_a_door_shows_itself_in_home_assistant_and_goes(
    core: Core, mosquitto: Mosquitto, tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    door = Door(mosquitto, tmp_path, key_files[0])
    states: States = {}

    def until(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while True:
            door.publisher.pump()
            states.clear()
            states.update(core.ask("states"))
            if what():
                return
            assert time.monotonic() < deadline, (ours(states), core.log)
            time.sleep(0.05)

    def told(entity: str) -> str:
        return states[entity]["state"] if entity in states else "not there"

    def of(kind: str, name: str) -> str:
        return told(f"{kind}.oneglance_home_front_{name}")

    with door.talking(discovery=True):
        until(lambda: len(ours(states)) == 12 and of("sensor", "status") == "online")
        assert [d["name"] for d in core.ask("devices")] == ["oneglance home front"]
        assert not {e.split(".")[0] for e in ours(states)} - {"binary_sensor", "sensor", "event"}
        assert of("binary_sensor", "connection") == "on"
        assert of("binary_sensor", "camera_cam0") == of("binary_sensor", "camera_yard") == "on"
        assert of("binary_sensor", "problem") == "off"
        assert of("sensor", "model") == "model-1 int8"
        assert told(LOCK) == "unknown"

        door.publisher.set_reasons(("camera_lost:yard", "camera_slow:cam0"))
        until(lambda: of("binary_sensor", "camera_yard") == "off")
        assert of("binary_sensor", "camera_cam0") == "on"
        until(lambda: of("binary_sensor", "problem") == "on")
        status = states["sensor.oneglance_home_front_status"]
        assert status["attributes"]["reasons"] == ["camera_lost:yard", "camera_slow:cam0"]
        assert status["category"] == "diagnostic"

        door.see(Phase.LOOK, Hint.COME_CLOSER)
        until(lambda: of("binary_sensor", "visitor") == "on")
        door.see(Phase.CHECKING)
        door.see(Phase.IDLE)
        until(lambda: of("binary_sensor", "visitor") == "off")
        assert of("sensor", "last_hint") == "come_closer"

        for state, shown, fault in (
            (LockState.LOCKED, "off", "off"),
            (LockState.FAULT, "unknown", "on"),
        ):
            door.bolt(state)
            until(
                lambda s=shown, f=fault: (told(LOCK), of("binary_sensor", "lock_fault")) == (s, f)
            )
        assert told("light.hall") == "off"
        door.bolt(LockState.UNLOCKED)
        until(lambda: told(LOCK) == "on")
        until(lambda: told("light.hall") == "on")

        door.decide()
        until(lambda: told(DECISION) not in ("unknown", "not there"))
        attributes = states[DECISION]["attributes"]
        assert (attributes["event_type"], attributes["factors"]) == ("accepted", ["face"])
        assert (attributes["liveness"], attributes["person"]) == ("passed", None)
        assert of("sensor", "last_liveness") == "passed"
        assert states["automation.a_picture_was_held_up"]["attributes"]["last_triggered"] is None
        door.decide(
            outcome=Outcome.REJECTED, reason="presentation_attack", liveness=Liveness.FAILED
        )
        until(lambda: states[DECISION]["attributes"]["event_type"] == "rejected")
        automation = "automation.a_picture_was_held_up"
        until(lambda: states[automation]["attributes"]["last_triggered"] is not None)
        assert "Lovelace" not in json.dumps(states)

        # Who forgot all that was announced hears it again when it starts.
        for topic in announced(tmp_path / "home-assistant"):
            door.publisher.link.publish(topic, b"", qos=1, retain=True)
        until(lambda: not ours(states))
        door.moved_s += AGAIN_AFTER_S
        reborn = Link(mosquitto.mqtt("reader"), "test-reborn")
        reborn.start()
        assert reborn.wait_connected(20)
        reborn.publish("homeassistant/status", b"online", qos=1)
        until(lambda: len(ours(states)) == 12)
        reborn.stop()
    until_offline = time.monotonic() + 30
    while core.ask("states")["binary_sensor.oneglance_home_front_connection"]["state"] != "off":
        assert time.monotonic() < until_offline
    assert core.ask("states")[DECISION]["state"] == "unavailable"

    with door.talking(discovery=True, names=True):
        until(lambda: told(DECISION) not in ("unavailable", "not there"))
        door.decide()
        until(lambda: states[DECISION]["attributes"].get("person") == "Ada Lovelace")

    with door.talking(discovery=False):
        until(lambda: not ours(states))
        door.moved_s += SETTLED_AFTER_S
        until(lambda: not (tmp_path / "home-assistant").exists())
        door.decide()
    door.lock.stop()
    assert core.ask("devices") == []
    complaints = [line for line in core.log.splitlines() if "mqtt" in line or "template" in line]
    assert complaints == []


def ours(states: States) -> list[str]:
    """The entities of the door."""
    return [entity for entity in states if ".oneglance_" in entity]


def test_it_may_ask_for_a_look_a_shut_door_and_a_picture_and_never_opens(
    core: Core,
    mosquitto: Mosquitto,
    tmp_path: Path,
    key_files: tuple[Path, Path],
    wait_until: Callable[..., None],
) -> None:
    door = Door(mosquitto, tmp_path, key_files[0])
    door.lock.stop()
    create_key_pair(tmp_path / "assistant.key", tmp_path / "assistant.pub")
    own, daemon = (load_public_key(file) for file in (tmp_path / "assistant.pub", key_files[1]))
    began = datetime.now(UTC)
    ring = Keyring(
        keys=(
            entry("assistant", Role.ASSISTANT, own, began),
            entry("daemon", Role.DAEMON, daemon, began),
        )
    )
    write_keyring(tmp_path / "keyring.json", ring)
    asked: list[str] = []
    jpeg = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].tobytes()

    def note(verb: str, args: Args) -> str:
        asked.append(verb)
        if verb == "preview":
            sender = PreviewSender(
                TOPICS, load_signing_key(key_files[0]), half_of(str(args["key"]))
            )
            payload = sender.seal(Picture(0, None, jpeg))
            assert door.publisher.preview(TOPICS.preview("assistant"), payload)
        return "done"

    verbs = {
        verb: Verb(frozenset({Role.ASSISTANT}), lambda args, _, verb=verb: note(verb, args))
        for verb in ("verify-now", "preview")
    }
    lock_settings = DoorConfig(
        public_key_file=key_files[1],
        state_file=tmp_path / "door" / "sequence",
        pulse_s=60,
        shut_on_request=True,
    )
    factory = MockFactory()
    lock = DoorApp(Config(mqtt=mosquitto.mqtt("lock"), door=lock_settings), factory=factory)
    wanted = AssistantConfig(
        verify=True,
        lock=True,
        camera=True,
        key_file=tmp_path / "assistant.key",
        public_key_file=tmp_path / "keyring.json",
    )
    mqtt = mosquitto.mqtt("assistant")
    assistant = AssistantApp(Config(mqtt=mqtt, assistant=wanted))
    button, bolt, camera = (
        f"{kind}.oneglance_home_front_{name}"
        for kind, name in (("button", "verify"), ("lock", "lock"), ("camera", "picture"))
    )

    def told(entity: str) -> str:
        states = core.ask("states")
        return str(states[entity]["state"]) if entity in states else "not there"

    def opened() -> int:
        levels = [state.state for state in factory.pin("GPIO17").states]
        return sum(now and not before for before, now in pairwise(levels))

    threads = [threading.Thread(target=app.run) for app in (lock, assistant)]
    with (
        door.talking(),
        serving(mosquitto.mqtt("daemon"), verbs, lambda: ring, tmp_path / "commands"),
    ):
        for thread in threads:
            thread.start()
        wait_until(lambda: told(bolt) == "locked", "the lock is there")
        wait_until(lambda: told(button) == "unknown", "a button that was not pressed")
        wait_until(lambda: told(camera) == "idle", "the camera is there")
        # Nobody is there to be seen.
        assert core.ask(f"picture {camera}") is None

        assert core.ask(f"call button.press {button}") is None
        wait_until(lambda: asked == ["verify-now"], "the daemon is asked to look")
        door.see(Phase.LOOK)
        wait_until(lambda: core.ask(f"picture {camera}") == jpeg.hex(), "a picture")
        door.see(Phase.IDLE)
        wait_until(lambda: core.ask(f"picture {camera}") is None, "and none any more")

        # What it sends to unlock reaches the lock, which is asked for something else afterwards.
        assert core.ask(f"call lock.unlock {bolt}") is None
        assert opened() == 0
        door.decide()
        wait_until(lambda: told(bolt) == "unlocked", "a decision opens")
        assert core.ask(f"call lock.lock {bolt}") is None
        wait_until(lambda: told(bolt) == "locked", "and it shuts, long before its time")
        assert core.ask(f"call lock.unlock {bolt}") is None
        door.decide()
        wait_until(lambda: opened() == 2, "the next decision opens")
        assert core.ask(f"call lock.lock {bolt}") is None
        wait_until(lambda: told(bolt) == "locked", "shut again")
        assert opened() == 2
        assert asked == ["verify-now", "preview"]
        assistant.stop()
        wait_until(lambda: told(button) == "unavailable", "nobody would hear a press")
        lock.stop()
        wait_until(lambda: told(bolt) == "jammed", "nobody moves the lock")
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    file = tmp_path / "assistant.toml"
    file.write_text(
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mqtt.port}\ntls = true\nca_file = "{mqtt.ca_file}"\n'
        f'user = "{mqtt.user}"\npassword_file = "{mqtt.password_file}"\n'
    )
    done = CliRunner().invoke(command_line, ["assistant", "--withdraw", "-c", str(file)])
    assert done.exit_code == 0, done.output
    wait_until(lambda: not ours(core.ask("states")), "all is taken back")
    complaints = [line for line in core.log.splitlines() if "mqtt" in line or "template" in line]
    assert complaints == []
