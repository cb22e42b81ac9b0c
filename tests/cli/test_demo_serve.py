"""`oneglance demo --serve`: a stranger's program connects to the house with what it printed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from oneglance.broker import free_port
from oneglance.cli.demo.film import VISIT, make_film
from oneglance.cli.demo.serve import make_files
from oneglance.config import MqttConfig, load_config
from oneglance.contract.gate import Gate
from oneglance.contract.messages import DoorState, parse
from oneglance.contract.signing import load_public_key
from oneglance.contract.topics import Topics
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.link import Arrival, Link


def test_a_program_beside_it_hears_signed_decisions_and_the_lock(
    photos: Path, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    make_film(tmp_path / "visits.avi", FaceDetector(), load_model(), [("obama2.jpg", VISIT)])
    place = ["--out", str(tmp_path), "--port", str(free_port())]
    command = [sys.executable, "-m", "oneglance.cli.start", "demo", "--serve", *place]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin", **_home()}
    ) as house:
        assert house.stdout is not None
        try:
            told = ""
            while "your lock" not in told:
                line = house.stdout.readline()
                assert line, f"it ended, having said {told!r}"
                told += line
            assert "No display here" in told
            _listen(told, wait_until)
            house.send_signal(signal.SIGINT)
            rest = house.stdout.read()
        finally:
            house.kill()
    assert house.returncode == 0
    assert rest.endswith("The house is shut.\n")


def _home() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}


def _listen(told: str, wait_until: Callable[..., None]) -> None:
    """Knowing nothing but what was printed: until a signed decision and the lock were heard."""
    (port,) = re.findall(r"broker +127\.0\.0\.1:(\d+)", told)
    (topic,) = re.findall(r"decisions on (\S+)", told)
    (key,) = re.findall(r"public key +(\S+)", told)
    _, _, site, door, _ = topic.split("/")
    topics = Topics(site, door)
    gate = Gate(topics, load_public_key(Path(key)), lambda: datetime.now(UTC), time.monotonic)
    heard: list[object] = []

    def arrived(arrival: Arrival) -> None:
        if arrival.topic == topic:
            heard.append(gate.admit(arrival.payload, retained=arrival.retained))
        else:
            heard.append(parse(arrival.payload, DoorState, arrival.topic))

    link = Link(
        MqttConfig(host="127.0.0.1", port=int(port)),
        "stranger",
        subscriptions=((topic, 1), (topics.door_state, 1)),
        on_message=arrived,
    )
    link.start()
    try:
        wait_until(lambda: len({type(one) for one in heard}) == 2, "decision and lock", 180)
    finally:
        link.stop()


def test_the_next_house_has_the_same_keys(tmp_path: Path) -> None:
    make_files(tmp_path / "door", 18830, "http://127.0.0.1:1/")
    key = (tmp_path / "door/signing.key").read_bytes()
    make_files(tmp_path / "door", 18831, "http://127.0.0.1:2/")
    config = load_config(tmp_path / "door")
    assert (tmp_path / "door/signing.key").read_bytes() == key
    assert config.mqtt.port == 18831
    assert config.camera[0].source == "http://127.0.0.1:2/"


def test_a_port_that_is_taken_is_named(tmp_path: Path, photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = ["--out", str(tmp_path), "--port", str(port)]
        command = [sys.executable, "-m", "oneglance.cli.start", "demo", "--serve", *place]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
