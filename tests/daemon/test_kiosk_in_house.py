"""Daemon, broker and the kiosk's own window, all real, and fingers on it."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory
from people_on_stage import Stage
from test_challenge_pipeline import head, portrait
from test_whole_daemon import running

from oneglance.access_config import AccessConfig
from oneglance.config import (
    CommandsConfig,
    Config,
    DecisionConfig,
    DoorConfig,
    LivenessConfig,
    MqttConfig,
    PreviewConfig,
    SiteConfig,
)
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import Step
from oneglance.contract.signing import create_signing_key, load_public_key, load_signing_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport
from oneglance.door.app import DoorApp
from oneglance.kiosk_ui import admin_secret
from oneglance.kiosk_ui.admin_desk import UNANSWERED
from oneglance.kiosk_ui.admin_enrol import POSES
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost
from oneglance.kiosk_ui.display import virtual_display

__all__ = ["head", "portrait"]

Wait = Callable[..., None]
PIN = "27182818"
# How the screen begins to tell what came of a test of the lock.
LOCK_TOLD = ("The lock got it", "The lock did not", "The daemon sent no")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="Xvfb is not installed (apt install xvfb)"
)


class Hands:
    """The kiosk in a process of its own, and somebody who touches it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, what: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what} | more) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kind(self) -> str:
        return str(self.ask("look")["kind"])


@contextmanager
def kiosk(config: Path, size: str = "800x480") -> Iterator[Hands]:
    script = Path(__file__).with_name("kiosk_hands.py")
    with (
        virtual_display() as environment,
        subprocess.Popen(
            [sys.executable, str(script), str(config), size],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            hands = Hands(process)
            yield hands
            hands.ask("stop")
            assert process.wait(20) == 0
        finally:
            process.kill()


def kiosk_config(folder: Path, mqtt: MqttConfig, more: str = "", policy: str = "off") -> Path:
    """The kiosk's own file, with a key of its own that the daemon's keyring knows."""
    file = folder / "kiosk.toml"
    file.write_text(
        f'[site]\nname = "test"\ndoor = "front"\n[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n'
        '[kiosk]\npublic_key_file = "signing.pub"\nkey_file = "kiosk.key"\nfullscreen = false\n'
        f'verify_button = true\nadmin_file = "admin"\n{more}'
        # As the house's daemon, which mostly looks for no photograph here.
        f'[liveness]\npolicy = "{policy}"\n'
    )
    return file


@pytest.fixture
def keyring(tmp_path: Path, key_files: tuple[Path, Path]) -> Path:
    entries = []
    for name, role in (("kiosk", Role.KIOSK), ("administrator", Role.ADMINISTRATOR)):
        create_signing_key(tmp_path / f"{name}.key", tmp_path / f"{name}.pub")
        public = load_public_key(tmp_path / f"{name}.pub")
        entries.append(entry(name, role, public, BEGINNING))
    write_keyring(tmp_path / "keyring.json", Keyring(keys=tuple(entries)))
    return tmp_path / "keyring.json"


@pytest.fixture
def visitor(photos: Path, network_camera: Any) -> Callable[..., None]:
    """`visitor("obama2.jpg")`: that person stands before the camera, nearly still; or nobody."""
    people = ("obama2.jpg", "biden.jpg")
    stage = Stage(photos, *people)
    still = {name: [] for name in (*people, "")}
    for name in still:
        for step in range(4):
            places = [(name, 320.0 + 2 * step, 240.0)] if name else []
            picture = stage.frame(*places, noise=1.0)
            still[name].append(cv2.imencode(".jpg", picture)[1].tobytes())
    network_camera.period_s = 0.08

    def stands(name: str = "") -> None:
        network_camera.jpegs = still[name]

    stands()
    return stands


@pytest.fixture
def poses(head: Callable[[Step, float], Any], network_camera: Any) -> Callable[[str], None]:
    """`poses(title)`: the visitor does what the enrolment's page asks for."""
    parts = {Step.LOOK_STRAIGHT: 0.0, Step.LOOK_UP: 0.5, Step.COME_CLOSER: 0.6}
    shown = {}
    for pose, title in POSES.items():
        picture = head(Step(pose), parts.get(Step(pose), 0.35))
        # A live camera is never quite still.
        pictures = [np.roll(picture, step, axis=1) for step in range(3)]
        shown[title] = [cv2.imencode(".jpg", one)[1].tobytes() for one in pictures]

    def does(title: str) -> None:
        if title in shown:
            network_camera.jpegs = shown[title]

    return does


def seal_admin(folder: Path) -> None:
    """The administrator's key under PIN, as `oneglance kiosk set-pin` does it."""
    key = load_signing_key(folder / "administrator.key")
    sealed = admin_secret.sealed(AdminKey("administrator", key), PIN, Cost(64, 1, 1))
    admin_secret.write(folder / "admin", sealed)


@contextmanager
def real_lock(folder: Path, mqtt: MqttConfig, policy: str = "off") -> Iterator[Any]:
    """The lock's own service, and the pin that would open."""
    config = Config(
        site=SiteConfig(name="test", door="front"),
        mqtt=mqtt,
        liveness=LivenessConfig.model_validate({"policy": policy}),
        door=DoorConfig(public_key_file=folder / "signing.pub", state_file=folder / "lock"),
    )
    factory = MockFactory()
    app = DoorApp(config, factory=factory)
    thread = threading.Thread(target=app.run)
    thread.start()
    try:
        assert app.link.wait_connected(60)
        yield factory.pin(config.door.pin)
    finally:
        app.stop()
        thread.join(60)
    assert not thread.is_alive()


def test_a_visitor_sees_themselves_asks_to_be_looked_at_and_is_welcome(
    house: Callable[..., Config],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    network_camera: Any,
    visitor: Callable[..., None],
    keyring: Path,
    tmp_path: Path,
    wait_until: Wait,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    daemon = Daemon(
        house(
            network_camera.url,
            mqtt=broker,
            commands=CommandsConfig(keyring_file=keyring),
            access=AccessConfig(on_request=True),
            decision=DecisionConfig(patience_s=10.0),
        )
    )
    with running(daemon), kiosk(kiosk_config(tmp_path, broker)) as hands:
        wait_until(lambda: hands.kind() == "idle", "the kiosk hears no daemon", 60.0)
        preview = daemon.outlet.preview  # type: ignore[union-attr]
        assert preview.encoded == 0
        visitor("obama2.jpg")
        wait_until(lambda: hands.ask("look")["oval"], "no picture with a face")
        shown = tmp_path / "mirror.png"
        hands.ask("photograph", file=str(shown))
        # Bright skin above the words, where without a picture there is a dark screen.
        assert cv2.imread(str(shown))[60:200, 340:460].mean() > 60
        # Nobody is looked at before it is asked for.
        assert hands.kind() == "look_here"
        assert hands.ask("touch", text="Verify")
        wait_until(lambda: "Barack" in " ".join(hands.ask("look")["texts"]), "not welcome", 60.0)
        assert hands.kind() == "welcome"
        visitor()
        wait_until(lambda: hands.kind() == "idle", "the visitor is gone")
        encoded = preview.encoded
        assert encoded > 0
        visitor("biden.jpg")
        wait_until(lambda: hands.kind() == "look_here", "nobody is seen")
        hands.ask("type", place=40)
        wait_until(lambda: hands.kind() == "not_recognised", "not refused", 60.0)
        assert preview.encoded > encoded


def test_who_is_enrolled_at_the_screen_is_welcome(
    house: Callable[..., Config],
    broker: MqttConfig,
    network_camera: Any,
    visitor: Callable[..., None],
    poses: Callable[[str], None],
    keyring: Path,
    photos: Path,
    listen: Callable[..., Any],
    tmp_path: Path,
    wait_until: Wait,
) -> None:
    seal_admin(tmp_path)
    empty = [0]

    def on_step(report: StepReport) -> None:
        empty[0] = 0 if report.tracks else empty[0] + 1

    daemon = Daemon(
        house(
            network_camera.url,
            mqtt=broker,
            commands=CommandsConfig(keyring_file=keyring),
            decision=DecisionConfig(patience_s=10.0),
            preview=PreviewConfig(socket=tmp_path / "preview"),
        ),
        on_step=on_step,
    )
    # This screen stands on the daemon's machine.
    more = 'photo_folders = ["media"]\n[preview]\nsocket = "preview"\n'
    config = kiosk_config(tmp_path, broker, more)
    listener = listen(broker)
    with running(daemon), real_lock(tmp_path, broker) as pin, kiosk(config) as hands:
        # A new door: nobody is enrolled, so that nobody can be let in yet.
        wait_until(lambda: hands.kind() == "maintenance", "the kiosk hears no daemon", 60.0)

        def touch(*texts: str) -> None:
            for text in texts:
                wait_until(lambda text=text: hands.ask("touch", text=text), f"no {text}")

        def says(text: str) -> None:
            wait_until(lambda: text in hands.ask("look")["texts"], f"no {text}")

        def lock_told() -> str:
            texts = hands.ask("look")["texts"]
            return next((text for text in texts if text.startswith(LOCK_TOLD)), "")

        def ended() -> str:
            texts = hands.ask("look")["texts"]
            # What the screen did not wait for may have been done all the same.
            if any(text.startswith("looks like 'joe'") for text in texts):
                return "Enrolled"
            return next((text for text in texts if text in ("Enrolled", UNANSWERED)), "")

        touch("Staff", *PIN, "Unlock", "Enrol somebody", "At this door's camera", "A")
        hands.ask("type", text="da")
        touch("Next", "I agree")
        titles = [*POSES.values(), "Five good looks"]
        for title, after in itertools.pairwise(titles):
            says(title)
            poses(title)
            says(after)
        hands.ask("photograph", file=str(tmp_path / "review.png"))
        # Who stood there was seen on the screen, and not by the broker: the first frame at most.
        frames = listener.on(Topics("test", "front").preview("kiosk"))
        assert len(frames) <= 1 < daemon.outlet.preview.encoded  # type: ignore[union-attr]
        touch("Save")
        says("Enrolled")
        touch("Done")
        # A busy machine may be later than the screen waits.
        for _ in range(5):
            touch("Test the lock", "Test")
            wait_until(lambda: lock_told() != "", "neither an answer nor none", 60.0)
            if lock_told().startswith("The lock got it, verified it and stayed shut"):
                break
            touch("Back")
            says("Last decisions")
        assert "stayed shut" in lock_told()
        # Somebody who is not there, from a stick.
        (tmp_path / "media" / "STICK").mkdir(parents=True)
        shutil.copy(photos / "biden.jpg", tmp_path / "media" / "STICK")
        touch("Done")
        for _ in range(5):
            touch("Enrol somebody", "From a photograph", "biden.jpg", "Take it", "J")
            hands.ask("type", text="oe")
            touch("Next", "They agreed")
            wait_until(lambda: ended() != "", "neither an answer nor none", 60.0)
            if ended() == "Enrolled":
                break
            touch("Back")
            says("Last decisions")
        assert ended() == "Enrolled"
        touch("Close")
        said = ""

        def answered() -> bool:
            nonlocal said
            look = hands.ask("look")
            said = "welcome" if "Ada" in " ".join(look["texts"]) else str(look["kind"])
            return said in {"welcome", "not_recognised", "not_sure"}

        # Walk away, come back; and again, if a busy machine had too few looks for an answer.
        for _ in range(3):
            visitor()
            # Whoever is back too soon never left, and has had an answer.
            empty[0] = 0
            wait_until(lambda: empty[0] > 20, "the daemon still sees somebody", 60.0)
            wait_until(lambda: hands.kind() == "idle", "the visitor is gone", 60.0)
            visitor("obama2.jpg")
            wait_until(answered, "no answer", 60.0)
            if said == "welcome":
                break
        assert said == "welcome"
        wait_until(lambda: any(state.state for state in pin.states), "the door stays shut")
