"""`oneglance run` as a real process: what it prints, how it ends, what signals do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oneglance.config import Config, MqttConfig
from oneglance.daemon.pipeline import STAGES

Wait = Callable[..., None]
ONEGLANCE = [sys.executable, "-m", "oneglance.cli.start"]


def oneglance(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ONEGLANCE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environ,
    )


@pytest.fixture
def config_file(tmp_path: Path, house: Callable[..., Config]) -> Callable[..., Path]:
    """`config_file(mqtt, source)`: a house as a TOML file."""

    def write(mqtt: MqttConfig, source: str) -> Path:
        config = house(source, mqtt=mqtt)
        file = tmp_path / "oneglance.toml"
        file.write_text(
            f"""\
[site]
name = "test"
door = "front"
[mqtt]
host = "{mqtt.host}"
port = {mqtt.port}
[signing]
key_file = "{config.signing.key_file}"
sequence_file = "{config.signing.sequence_file}"
[gallery]
path = "{config.gallery.path}"
key_file = "{config.gallery.key_file}"
[liveness]
policy = "off"
[[camera]]
name = "door"
source = "{source}"
"""
        )
        return file

    return write


@contextmanager
def service(config: Path, manager: Path) -> Iterator[subprocess.Popen[str]]:
    """The daemon as systemd would start it."""
    environ = os.environ | {"NOTIFY_SOCKET": str(manager), "WATCHDOG_USEC": "400000"}
    process = subprocess.Popen(
        [*ONEGLANCE, "run", "--config", str(config), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], list[str]]]]:
    """A service manager's datagram socket, and what tells everything heard so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        lines: list[str] = []

        def heard() -> list[str]:
            try:
                while True:
                    lines.extend(listener.recv(4096).decode().splitlines())
            except BlockingIOError:
                return lines

        yield tmp_path / "notify", heard


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(
    number: signal.Signals,
    config_file: Callable[..., Path],
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    manager: tuple[Path, Callable[[], list[str]]],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    where, heard = manager
    with service(config_file(broker, network_camera.url), where) as process:
        wait_until(lambda: "READY=1" in heard(), "never ready")
        wait_until(lambda: heard().count("WATCHDOG=1") >= 2, "the watchdog is not fed")
        process.send_signal(number)
        # `timeout -s INT` sends it to the process and, a little later, to its group.
        time.sleep(0.05)
        process.send_signal(number)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert json.loads(out)["frames"] > 0
    wait_until(lambda: listener.states()[-1] == ("offline", ()), "no farewell")
    assert "STOPPING=1" in heard()
    assert heard().index("READY=1") < heard().index("STOPPING=1")


def test_a_killed_service_is_called_offline_by_the_broker(
    config_file: Callable[..., Path],
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    manager: tuple[Path, Callable[[], list[str]]],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    where, heard = manager
    with service(config_file(broker, network_camera.url), where) as process:
        wait_until(lambda: "READY=1" in heard(), "never ready")
        process.kill()
        wait_until(lambda: listener.states()[-1] == ("offline", ("vanished",)), "no Last Will")


def test_a_dry_run_needs_nothing_but_a_film_and_counts_to_its_end(
    film: Callable[..., Path], tmp_path: Path
) -> None:
    result = oneglance("run", "--source", film(12), "--pace", "every", "--json")
    assert result.returncode == 0, result.stderr
    totals = json.loads(result.stdout)
    assert (totals["frames"], totals["dropped"], totals["decisions"]) == (12, 0, 0)
    assert {"faces", "tracks", "encoder_calls", "faces_encoded", "fps"} <= totals.keys()


def test_the_counts_are_printed_for_people_too(film: Callable[..., Path]) -> None:
    result = oneglance("run", "--source", film(5), "--pace", "every")
    assert result.returncode == 0, result.stderr
    assert "frames          5 (0 dropped, 0 stale)" in result.stdout
    assert "frames per second" in result.stdout


def test_without_mqtt_the_configured_house_decides_and_publishes_nothing(
    config_file: Callable[..., Path],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    listen: Callable[..., Any],
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    listener = listen(broker)
    config = config_file(broker, str(walk_up("obama2.jpg", frames=16)))
    # The service that runs beside it has the port of the metrics.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = f"[metrics]\nport = {taken.getsockname()[1]}\n"
        config.write_text(config.read_text() + metrics)
        result = oneglance("-v", "run", "-c", config, "--pace", "every", "--no-mqtt", "--json")
    assert result.returncode == 0, result.stderr
    assert "no metrics are served with --no-mqtt" in result.stderr
    assert json.loads(result.stdout)["accepted"] == 1
    assert listener.heard == []
    assert "Obama" not in result.stderr


def clear_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of error that a person reads."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return errors[0]


def test_a_missing_recording_is_one_clear_line_and_exit_code_66() -> None:
    result = oneglance("run", "--source", "none.mp4")
    assert result.returncode == 66
    assert "none.mp4: there is no such camera, video or folder" in clear_line(result)


def test_an_unreadable_video_is_one_clear_line_and_exit_code_66(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"broken" * 100)
    result = oneglance("run", "--source", tmp_path / "broken.mp4")
    assert result.returncode == 66
    assert "broken.mp4: not a video, or a damaged one" in clear_line(result)


def test_profile_says_where_the_time_of_a_run_went(film: Callable[..., Path]) -> None:
    result = oneglance("run", "--source", film(), "--pace", "every", "--profile")
    assert result.returncode == 0
    table = result.stdout.partition("stage ")[2].splitlines()[1:]
    assert table[0].split()[:2] == [STAGES[0], "12"]
    assert "of the run" in table[-1]


def test_profile_as_json_has_the_same_stages(film: Callable[..., Path]) -> None:
    answer = oneglance("run", "--source", film(), "--pace", "every", "--profile", "--json")
    stages = json.loads(answer.stdout)["stages"]
    assert (stages[0]["stage"], stages[0]["calls"]) == (STAGES[0], 12)
    assert 0 < stages[0]["p50_ms"] <= stages[0]["p95_ms"]


def test_a_missing_configuration_is_one_clear_line_and_exit_code_78(tmp_path: Path) -> None:
    result = oneglance("run", "--config", tmp_path / "none.toml")
    assert result.returncode == 78
    assert "there is no configuration" in clear_line(result)


def test_a_gallery_under_another_key_is_one_clear_line_and_exit_code_67(
    config_file: Callable[..., Path], film: Callable[..., Path], tmp_path: Path
) -> None:
    config = config_file(MqttConfig(port=1), str(film()))
    key = tmp_path / "gallery.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    result = oneglance("run", "--config", config)
    assert result.returncode == 67
    assert "another key" in clear_line(result)


def test_a_refused_password_is_one_clear_line_and_exit_code_69(
    config_file: Callable[..., Path], film: Callable[..., Path], mosquitto: Any
) -> None:
    config = config_file(MqttConfig(port=mosquitto.port), str(film()))
    wrong = mosquitto.folder / "wrong.password"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    text = config.read_text().replace(
        "[signing]",
        f'tls = true\nca_file = "{mosquitto.folder}/ca.crt"\n'
        f'user = "oneglance-daemon"\npassword_file = "{wrong}"\n[signing]',
    )
    config.write_text(text)
    result = oneglance("run", "--config", config)
    assert result.returncode == 69
    assert "refused us" in clear_line(result)
