"""Daemon, broker and the kiosk's own window, all real, and fingers on it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import pytest
from people_on_stage import Stage
from test_daemon_app import running

from oneglance.access_config import AccessConfig
from oneglance.config import CommandsConfig, Config, MqttConfig
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.signing import create_signing_key, load_public_key
from oneglance.daemon.app import Daemon
from oneglance.kiosk_ui.display import virtual_display

Wait = Callable[..., None]
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


def kiosk_config(folder: Path, mqtt: MqttConfig, more: str = "") -> Path:
    """The kiosk's own file, with a key of its own that the daemon's keyring knows."""
    file = folder / "kiosk.toml"
    file.write_text(
        f'[site]\nname = "test"\ndoor = "front"\n[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n'
        '[kiosk]\npublic_key_file = "signing.pub"\nkey_file = "kiosk.key"\nfullscreen = false\n'
        f"verify_button = true\n{more}"
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
        )
    )
    with running(daemon) as run, kiosk(kiosk_config(tmp_path, broker)) as hands:
        wait_until(lambda: hands.kind() == "idle", "the kiosk hears no daemon")
        preview = daemon._outlet.preview  # type: ignore[union-attr]
        assert preview.encoded == 0
        visitor("obama2.jpg")
        wait_until(lambda: hands.ask("look")["oval"], "no picture with a face")
        shown = tmp_path / "mirror.png"
        hands.ask("photograph", file=str(shown))
        # Bright skin above the words, where without a picture there is a dark screen.
        assert cv2.imread(str(shown))[60:200, 340:460].mean() > 60
        # Nobody is looked at before it is asked for.
        assert (hands.kind(), run.daemon._outlet.publisher.dropped) == ("look_here", 0)
        assert hands.ask("touch", text="Verify")
        wait_until(lambda: hands.kind() == "welcome", "not welcome")
        assert "Barack" in hands.ask("look")["title"]
        visitor()
        wait_until(lambda: hands.kind() == "idle", "the visitor is gone")
        encoded = preview.encoded
        assert encoded > 0
        visitor("biden.jpg")
        wait_until(lambda: hands.kind() == "look_here", "nobody is seen")
        hands.ask("type", place=40)
        wait_until(lambda: hands.kind() == "not_recognised", "not refused")
        assert preview.encoded > encoded
