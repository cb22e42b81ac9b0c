"""The whole kiosk as a service would run it: a real process, window, broker and notify socket."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneglance.broker import embedded_broker
from oneglance.config import Config, KioskConfig, MqttConfig
from oneglance.contract.messages import (
    Decision,
    Factor,
    Liveness,
    Mode,
    Outcome,
    Phase,
    ServiceState,
    Status,
    VisitState,
)
from oneglance.contract.signing import create_signing_key, load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.kiosk_ui.app import KioskApp
from oneglance.kiosk_ui.client import KioskClient
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.screen import Kind
from oneglance.link import Link
from oneglance.sdnotify import Notifier

Wait = Callable[[Callable[[], bool], str], None]
TOPICS = Topics("home", "front")
COMMAND = [sys.executable, "-m", "oneglance.cli.start", "-v", "kiosk"]

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="Xvfb is not installed (apt install xvfb)"
)


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    with virtual_display() as environment:
        yield environment


def write_config(folder: Path, mqtt: MqttConfig) -> Path:
    file = folder / "oneglance.toml"
    file.write_text(
        f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n'
        '[kiosk]\npublic_key_file = "signing.pub"\nfullscreen = false\nresult_s = 1.2\n'
    )
    return file


class Manager:
    """The service manager's end of sd_notify: keeps all that it was told."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._told: list[str] = []

    @property
    def told(self) -> list[str]:
        try:
            while True:
                self._told.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return self._told

    def close(self) -> None:
        self._socket.close()


@contextmanager
def running(
    config: Path, folder: Path, environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[str], Manager]]:
    manager = Manager(folder)
    process = subprocess.Popen(
        [*COMMAND, "--config", str(config), "--size", "480x320"],
        env={**environment, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, manager
    finally:
        process.kill()
        process.communicate()
        manager.close()


def test_a_day_at_the_door(display: dict[str, str], tmp_path: Path, wait_until: Wait) -> None:
    create_signing_key(tmp_path / "signing.key", tmp_path / "signing.pub")
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **display,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "MESA_SHADER_CACHE_DISABLE": "true",
    }
    with embedded_broker() as mqtt:
        daemon = Link(mqtt, "daemon")
        daemon.start()
        wait_until(lambda: daemon.connected, "no connection")

        def send(topic: str, payload: bytes, *, retain: bool = False) -> None:
            assert daemon.publish(topic, payload, qos=1, retain=retain)

        now = datetime.now(UTC)
        online = Status(issued_at=now, state=ServiceState.ONLINE, software="0.1.0")
        send(TOPICS.status, online.to_payload(), retain=True)
        config = write_config(tmp_path, mqtt)
        with running(config, tmp_path, environment) as (process, manager):
            shown = 0

            def shows(kind: str) -> None:
                """The kiosk has said so by now, after what it said before."""
                nonlocal shown
                line = f"STATUS=shows {kind}"
                wait_until(
                    lambda: line in manager.told[shown:], f"no {kind} in {manager.told[shown:]}"
                )
                shown = manager.told.index(line, shown) + 1

            wait_until(lambda: "READY=1" in manager.told, "the first frame was not drawn")
            assert manager.told[0] == "STATUS=shows starting", "it shows something before it is up"
            shows("idle")
            look = VisitState(issued_at=now, visit_id="v1", phase=Phase.LOOK)
            send(TOPICS.visit, look.to_payload())
            shows("look_here")
            checking = look.model_copy(update={"phase": Phase.CHECKING, "progress": 0.5})
            send(TOPICS.visit, checking.to_payload())
            shows("checking")
            send(TOPICS.decision, _signed_welcome(tmp_path / "signing.key"))
            shows("welcome")
            shows("idle")
            send(TOPICS.status, b"", retain=True)
            shows("offline")
            fed = manager.told.count("WATCHDOG=1")
            wait_until(
                lambda: manager.told.count("WATCHDOG=1") > fed + 2,
                "a screen that stands still stopped feeding the watchdog",
            )
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=120)
            told = manager.told
        daemon.stop()
    assert process.returncode == 0, errors
    assert told[-1] == "STOPPING=1"
    assert "Zaphod" not in errors
    assert "shows welcome" in errors, "the log says what was shown, though not to whom"
    assert "Traceback" not in errors
    assert list(home.iterdir()) == [], "Kivy left something in the home"


def test_a_screen_that_no_longer_listens_does_not_feed_the_watchdog(
    broker: MqttConfig, key_files: tuple[Path, Path], tmp_path: Path
) -> None:
    manager = Manager(tmp_path)
    notifier = Notifier({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2"})
    config = Config(mqtt=broker, kiosk=KioskConfig(public_key_file=key_files[1]))
    client = KioskClient(config)
    app = KioskApp(config, notifier, client)
    app.feed_watchdog()
    assert manager.told == [], "it has not begun to listen"
    client.start()
    app.feed_watchdog()
    assert manager.told == ["WATCHDOG=1"]
    client.stop()
    app.feed_watchdog()
    assert manager.told == ["WATCHDOG=1"]
    manager.close()


def test_the_screen_is_dim_by_its_schedule_and_wakes_for_whoever_comes(
    key_files: tuple[Path, Path],
) -> None:
    screen = KioskConfig(public_key_file=key_files[1], dim=("daily 22:00-06:00",), dim_by=0.7)
    app = KioskApp(Config(kiosk=screen))
    night, day = (datetime(2026, 11, 29, hour, tzinfo=UTC) for hour in (23, 12))
    assert app.dimmed(Kind.IDLE, night) == 0.7
    assert app.dimmed(Kind.IDLE, day) == 0.0
    assert app.dimmed(Kind.LOOK_HERE, night) == 0.0
    with pytest.raises(ValueError, match="dim"):
        KioskConfig(dim=("at night",))


def _signed_welcome(key_file: Path) -> bytes:
    now = datetime.now(UTC)
    decision = Decision(
        issued_at=now,
        expires_at=now + timedelta(seconds=5),
        event_id="event-0001",
        site="home",
        door="front",
        visit_id="v1",
        outcome=Outcome.ACCEPTED,
        person_id="p1",
        person_name="Zaphod",
        score=3.0,
        threshold=1.0,
        model_id="m",
        mode=Mode.IDENTIFY,
        liveness=Liveness.PASSED,
        factors=(Factor.FACE,),
        sequence=1,
    )
    return sign(decision, load_signing_key(key_file))


def _failing(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    result = subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stderr


def _not_info(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if " INFO " not in line]


def test_a_missing_key_is_one_clear_line(display: dict[str, str], tmp_path: Path) -> None:
    config = write_config(tmp_path, MqttConfig())
    code, errors = _failing(["--config", str(config)], display)
    assert code == 78
    (line,) = _not_info(errors)
    assert "signing.pub: the public key is missing" in line
    assert "copy the daemon's signing.pub here" in line


def test_a_missing_display_is_one_clear_line(display: dict[str, str], tmp_path: Path) -> None:
    create_signing_key(tmp_path / "signing.key", tmp_path / "signing.pub")
    config = write_config(tmp_path, MqttConfig())
    code, errors = _failing(["-c", str(config)], {**display, "DISPLAY": ":64321"})
    assert code == 1
    (line,) = _not_info(errors)
    assert "kiosk: the display cannot be used (x11 :64321)" in line


def test_a_display_that_goes_ends_the_screen_with_one_clear_line(
    tmp_path: Path, wait_until: Wait
) -> None:
    create_signing_key(tmp_path / "signing.key", tmp_path / "signing.pub")
    config = write_config(tmp_path, MqttConfig(port=1))
    with ExitStack() as unplugged:
        environment = unplugged.enter_context(virtual_display())
        with running(config, tmp_path, environment) as (process, manager):
            wait_until(lambda: "READY=1" in manager.told, "the first frame was not drawn")
            unplugged.close()
            _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, "systemd brings it back"
    lines = [line for line in _not_info(errors) if "cannot connect" not in line]
    assert [line.partition("kiosk: ")[2][:19] for line in lines] == ["the display is gone"]


def test_a_full_screen_fills_its_display_and_its_end_is_no_good_end(tmp_path: Path) -> None:
    """Without a window manager too; so systemd brings a screen back that somebody closed."""
    create_signing_key(tmp_path / "signing.key", tmp_path / "signing.pub")
    config = write_config(tmp_path, MqttConfig())
    config.write_text(config.read_text().replace("fullscreen = false", "fullscreen = true"))
    script = Path(__file__).with_name("close_window.py")
    with virtual_display((360, 640)) as environment:
        result = subprocess.run(
            [sys.executable, str(script), str(config)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert result.stdout == "360x640"
    assert (result.returncode, "kiosk: the window was closed" in result.stderr) == (1, True)


@pytest.mark.parametrize("size", ["big", "800", "x480", "10x10", "99999x480"])
def test_a_size_that_is_none_is_wrong_usage(size: str, display: dict[str, str]) -> None:
    code, errors = _failing(["--size", size], display)
    assert code == 2
    assert "WIDTHxHEIGHT" in errors or "200 to 8192" in errors
