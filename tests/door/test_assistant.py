"""What asks for Home Assistant: on a real broker, with the daemon's own judge of commands."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_desk import serving
from command_samples import BEGINNING, KEYS
from wire_samples import TOPICS

from oneglance.config import AssistantConfig, Config, MqttConfig, SiteConfig
from oneglance.contract.commands import Args
from oneglance.contract.discovery import AGAIN_AFTER_S
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import read_keyring, write_keyring
from oneglance.contract.messages import Phase, VisitState
from oneglance.contract.preview import Picture, PreviewSender, half_of
from oneglance.contract.signing import load_public_key
from oneglance.daemon.voice.verbs import Sender, Verb
from oneglance.door.assistant.app import PRESS_EVERY_S, AssistantApp
from oneglance.door.assistant.camera import EVERY_S
from oneglance.door.assistant.entities import announcements
from oneglance.errors import ConfigError
from oneglance.key_files import create_key_pair
from oneglance.link import Arrival, Link

Wait = Callable[..., None]
SIGNING = KEYS[Role.DAEMON]
JPEGS = [
    cv2.imencode(".jpg", np.full((24, 32, 3), grey, np.uint8))[1].tobytes() for grey in range(3)
]


def told(**wanted: bool) -> dict[str, Any]:
    """What is announced, by its kind; None for what is taken back."""
    found = announcements(TOPICS, "homeassistant", AssistantConfig(**wanted))
    return {
        topic.split("/")[1]: json.loads(text) if text else None for topic, text in found.items()
    }


def test_nothing_is_announced_that_is_not_asked_for_and_nothing_can_open() -> None:
    assert told() == {"button": None, "lock": None, "camera": None}
    everything = told(verify=True, lock=True, camera=True)
    commands = {kind: one.get("command_topic") for kind, one in everything.items()}
    assert commands == {"button": TOPICS.ask_verify, "lock": TOPICS.ask_lock, "camera": None}
    for kind in ("button", "lock"):
        # Never kept: it would be for whoever stands there by then.
        assert (everything[kind]["qos"], everything[kind]["retain"]) == (0, False)
    lock = everything["lock"]
    assert lock["optimistic"] is False
    assert lock["state_topic"] == TOPICS.door_state
    assert lock["payload_unlock"] != lock["payload_lock"] == "LOCK"
    assert "payload_open" not in lock
    assert TOPICS.decision not in json.dumps(everything)


class House:
    """A daemon that notes what it is asked, somebody at the broker, and the assistant's clock."""

    def __init__(self, broker: MqttConfig, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.now_s = 100.0
        self.asked: list[tuple[str, Sender]] = []
        self.heard: list[Arrival] = []
        self.lease: PreviewSender | None = None
        create_key_pair(folder / "assistant.key", folder / "assistant.pub")
        own = load_public_key(folder / "assistant.pub")
        keys = (
            entry("assistant", Role.ASSISTANT, own, BEGINNING),
            entry("daemon", Role.DAEMON, SIGNING.public_key(), BEGINNING),
        )
        write_keyring(folder / "keyring.json", Keyring(keys=keys))
        self.hand = Link(
            broker,
            "hand",
            subscriptions=tuple(
                (topic, 1) for topic in ("homeassistant/#", TOPICS.assistant, TOPICS.picture)
            ),
            on_message=self.heard.append,
        )

    def config(self, **wanted: bool) -> Config:
        """The assistant's file."""
        return Config(
            site=SiteConfig(name=TOPICS.site, door=TOPICS.door),
            mqtt=self.broker,
            assistant=AssistantConfig(
                **wanted,
                key_file=self.folder / "assistant.key",
                public_key_file=self.folder / "keyring.json",
            ),
        )

    def on(self, topic: str) -> list[bytes]:
        """What was said there."""
        return [arrival.payload for arrival in self.heard if arrival.topic == topic]

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as anybody could."""
        assert self.hand.publish(topic, payload, qos=0, retain=retain)

    def visit(self, phase: Phase) -> None:
        """Tell who is there, as the daemon does."""
        visit = VisitState(issued_at=datetime.now(UTC), visit_id="v", phase=phase)
        self.say(TOPICS.visit, visit.to_payload())

    def show(self, jpeg: bytes, sender: PreviewSender | None = None) -> None:
        """Send a sealed picture."""
        lease = sender or self.lease
        assert lease is not None
        self.say(TOPICS.preview("assistant"), lease.seal(Picture(0, None, jpeg)))

    @contextmanager
    def assistant(self, **wanted: bool) -> Iterator[AssistantApp]:
        """A running one."""
        app = AssistantApp(self.config(**wanted), monotonic_s=lambda: self.now_s)
        thread = threading.Thread(target=app.run)
        thread.start()
        try:
            yield app
        finally:
            app.stop()
            thread.join(60)
            assert not thread.is_alive()

    def _note(self, verb: str, args: Args, sender: Sender) -> str:
        if verb == "preview":
            self.lease = PreviewSender(TOPICS, SIGNING, half_of(str(args["key"])))
        self.asked.append((verb, sender))
        return "done"

    @contextmanager
    def open(self) -> Iterator[None]:
        """A daemon that takes commands, and a hand on the broker."""
        verbs = {
            verb: Verb(
                frozenset({Role.ASSISTANT}),
                lambda args, sender, verb=verb: self._note(verb, args, sender),
            )
            for verb in ("verify-now", "preview")
        }
        keys = lambda: read_keyring(self.folder / "keyring.json")  # noqa: E731
        with serving(self.broker, verbs, keys, self.folder / "commands"):
            self.hand.start()
            assert self.hand.wait_connected(60)
            try:
                yield
            finally:
                self.hand.stop()


@pytest.fixture
def home(broker: MqttConfig, tmp_path: Path) -> Iterator[House]:
    house = House(broker, tmp_path)
    with house.open():
        yield house


def test_a_press_is_signed_once_and_what_is_no_press_or_was_left_there_is_not(
    home: House, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    button, lock, camera = announcements(TOPICS, "homeassistant", AssistantConfig())
    caplog.set_level(logging.INFO)
    with home.assistant(verify=True, camera=True) as app:
        wait_until(lambda: len(home.on(button)) == len(home.on(camera)) == 1, "it is announced")
        wait_until(lambda: home.on(lock) == [b""], "the rest is taken back")
        assert json.loads(home.on(button)[0])["command_topic"] == TOPICS.ask_verify
        for other in (b"", b"press", b"UNLOCK", b"\xff" * 3000):
            home.say(TOPICS.ask_verify, other)
        home.say(TOPICS.ask_verify, b"PRESS")
        wait_until(lambda: len(home.asked) == 1, "the daemon is asked")
        assert home.asked == [("verify-now", Sender("assistant", Role.ASSISTANT))]
        for _ in range(5):
            home.say(TOPICS.ask_verify, b"PRESS")
        # What is asked because of this comes after them.
        home.visit(Phase.LOOK)
        wait_until(lambda: len(home.asked) == 2, "the picture is asked for, and nothing else")
        home.now_s += max(PRESS_EVERY_S, AGAIN_AFTER_S)
        app.heard(Arrival(TOPICS.ask_verify, b"PRESS", True, None, None))
        home.say("homeassistant/status", b"online")
        wait_until(lambda: len(home.on(button)) == 2, "Home Assistant, started anew, hears of it")
        assert caplog.text.count("the button was pressed") == 1
        home.say(TOPICS.ask_verify, b"PRESS")
        wait_until(lambda: len(home.asked) == 3, "later the daemon is asked again")
    wait_until(lambda: home.on(TOPICS.assistant) == [b"online", b"offline"], "it says so")
    assert [verb for verb, _ in home.asked] == ["verify-now", "preview", "verify-now"]


def test_a_picture_is_passed_on_while_somebody_is_there_and_then_gone(
    home: House, wait_until: Wait
) -> None:
    passed = lambda: home.on(TOPICS.picture)  # noqa: E731
    with home.assistant(camera=True):
        wait_until(lambda: b"online" in home.on(TOPICS.assistant), "it is there")
        home.visit(Phase.IDLE)
        home.visit(Phase.LOOK)
        wait_until(lambda: home.lease is not None, "a lease")
        assert home.asked == [("preview", Sender("assistant", Role.ASSISTANT))]
        home.show(JPEGS[0])
        wait_until(lambda: passed() == JPEGS[:1], "the first picture")
        # Nobody else's picture, and no more of them than anybody looks at.
        stranger = PreviewSender(TOPICS, KEYS[Role.KIOSK], bytes(31) + b"\1")
        home.show(JPEGS[2], stranger)
        home.say(TOPICS.preview("assistant"), b"no picture")
        home.now_s += EVERY_S
        home.show(JPEGS[1])
        wait_until(lambda: len(passed()) == 2, "the next")
        home.visit(Phase.IDLE)
        wait_until(lambda: len(passed()) == 3, "and none")
    assert passed() == [*JPEGS[:2], b""]
    assert not any(arrival.retained for arrival in home.heard if arrival.topic == TOPICS.picture)


def test_it_does_not_start_without_something_to_do_or_without_its_key(home: House) -> None:
    with pytest.raises(ConfigError, match="nothing to do"):
        AssistantApp(home.config())
    (home.folder / "keyring.json").unlink()
    AssistantApp(home.config(lock=True))
    with pytest.raises(ConfigError, match=r"keyring\.json"):
        AssistantApp(home.config(camera=True))
    (home.folder / "assistant.key").unlink()
    with pytest.raises(ConfigError, match="key for commands"):
        AssistantApp(home.config(verify=True))
