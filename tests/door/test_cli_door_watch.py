"""`oneglance door` and `oneglance watch` as a user runs them: real processes, a real broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mosquitto_fixture import Mosquitto
from wire_samples import TOPICS, make_decision

from oneglance.broker import free_port
from oneglance.config import MqttConfig
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import DoorState, parse
from oneglance.contract.signing import (
    create_signing_key,
    load_public_key,
    load_signing_key,
    sign,
)
from oneglance.key_files import fingerprint
from oneglance.link import Arrival, Link

Wait = Callable[..., None]


@pytest.fixture
def config_file(tmp_path: Path, broker: MqttConfig, key_files: tuple[Path, Path]) -> Path:
    return write_config(tmp_path, broker.port)


def write_config(folder: Path, port: int) -> Path:
    file = folder / "oneglance.toml"
    file.write_text(
        f'[mqtt]\nport = {port}\n[door]\npublic_key_file = "signing.pub"\n'
        'state_file = "state/sequence"\npin_factory = "mock"\npulse_s = 30\n'
    )
    return file


Start = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def processes() -> Iterator[Start]:
    """`start(*arguments)` runs the command `oneglance`; at the end none of them is left."""
    with ExitStack() as started:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "oneglance.cli.start", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


@pytest.fixture
def start() -> Iterator[Start]:
    with processes() as start:
        yield start


@contextmanager
def speaker(mqtt: MqttConfig, heard: list[DoorState]) -> Iterator[Link]:
    def hear(arrival: Arrival) -> None:
        heard.append(parse(arrival.payload, DoorState))

    link = Link(mqtt, "speaker", subscriptions=((TOPICS.door_state, 1),), on_message=hear)
    link.start()
    assert link.wait_connected(60)
    yield link
    link.stop()


def test_a_test_that_fails_leaves_no_process(broker: MqttConfig, config_file: Path) -> None:
    started = []

    def fails() -> None:
        with processes() as start:
            started.append(start("watch", "-c", str(config_file)))
            pytest.fail("as an assertion does")

    with pytest.raises(pytest.fail.Exception):
        fails()
    assert [process.poll() for process in started] == [-signal.SIGKILL]


def test_sigterm_in_a_pulse_relocks_says_fault_and_exits_0(
    start: Start,
    broker: MqttConfig,
    config_file: Path,
    key_files: tuple[Path, Path],
    wait_until: Wait,
) -> None:
    heard: list[DoorState] = []
    with speaker(broker, heard) as link:
        process = start("-v", "door", "-c", str(config_file))
        wait_until(lambda: [s.state for s in heard] == ["locked"], "the lock is there")
        link.publish(TOPICS.decision, sign(make_decision(3), load_signing_key(key_files[0])), qos=1)
        wait_until(lambda: heard[-1].state == "unlocked", "open")
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=120)
        wait_until(lambda: heard[-1].state == "fault", "its last word")
    assert process.returncode == 0, errors
    assert heard[-1].cause == "stopped"
    assert "GPIO17 (mock: no real pin moves)" in out
    assert fingerprint(load_public_key(key_files[1])) in out
    assert (config_file.parent / "state" / "sequence").read_text() == "3\n"
    assert "Ada" not in out + errors


def test_a_killed_lock_is_a_fault_by_its_last_will(
    start: Start, broker: MqttConfig, config_file: Path, wait_until: Wait
) -> None:
    heard: list[DoorState] = []
    with speaker(broker, heard):
        process = start("door", "-c", str(config_file))
        wait_until(lambda: [s.state for s in heard] == ["locked"], "the lock is there")
        process.kill()
        process.communicate(timeout=120)
        wait_until(lambda: heard[-1].state == "fault", "the broker says it")
    assert heard[-1].cause == "connection lost"


def test_a_corrupt_memory_ends_with_exit_code_78(
    start: Start, broker: MqttConfig, config_file: Path, wait_until: Wait
) -> None:
    (config_file.parent / "state").mkdir()
    (config_file.parent / "state" / "sequence").write_text("?")
    process = start("door", "-c", str(config_file))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "delete this file" in errors
    assert "Traceback" not in errors


def test_a_missing_key_ends_with_exit_code_78(start: Start, tmp_path: Path) -> None:
    process = start("door", "-c", str(write_config(tmp_path, 1883)))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "the public key is missing" in errors


def test_a_wrong_password_ends_with_exit_code_69(
    start: Start, mosquitto: Mosquitto, config_file: Path, key_files: tuple[Path, Path]
) -> None:
    mqtt = mosquitto.mqtt("lock")
    assert mqtt.password_file is not None
    mqtt.password_file.write_text("guess")
    text = config_file.read_text().splitlines()
    text[1:2] = [
        f"port = {mqtt.port}",
        "tls = true",
        f'ca_file = "{mqtt.ca_file}"',
        f'user = "{mqtt.user}"',
        f'password_file = "{mqtt.password_file}"',
    ]
    config_file.write_text("\n".join(text))
    process = start("door", "-c", str(config_file))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 69
    assert "error: 127.0.0.1" in errors
    assert "the broker refused us" in errors
    assert "Traceback" not in errors
    assert "guess" not in errors


def test_watch_prints_each_message_and_ends_after_count(
    start: Start,
    broker: MqttConfig,
    config_file: Path,
    key_files: tuple[Path, Path],
    wait_until: Wait,
) -> None:
    create_signing_key(config_file.parent / "x.key", config_file.parent / "x.pub")
    with speaker(broker, []) as link:
        link.publish(
            TOPICS.door_state,
            b'{"v":1,"kind":"door_state","issued_at":"2026-11-24T06:00:00.000Z",'
            b'"state":"locked","cause":""}',
            qos=1,
            retain=True,
        )
        process = start("watch", "-c", str(config_file), "--count", "4")
        assert process.stdout is not None
        first = process.stdout.readline()
        link.publish(TOPICS.decision, sign(make_decision(3), load_signing_key(key_files[0])), qos=1)
        forger = load_signing_key(config_file.parent / "x.key")
        link.publish(TOPICS.decision, sign(make_decision(4), forger), qos=1)
        link.publish(TOPICS.decision, b"\x1b[2Jopen", qos=1)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "lock locked" in first
    valid, forged, garbage = out.splitlines()
    assert "signature valid" in valid
    assert "signature NOT valid" in forged
    assert "malformed" in garbage
    assert "\x1b" not in out


def test_watch_believes_whom_the_keyring_names_at_that_moment(
    start: Start, broker: MqttConfig, config_file: Path, key_files: tuple[Path, Path]
) -> None:
    folder, now = config_file.parent, datetime.now(UTC)
    create_signing_key(folder / "x.key", folder / "x.pub")
    old, new = load_signing_key(key_files[0]), load_signing_key(folder / "x.key")
    ring = Keyring.of(old.public_key())
    # Copied over the public key's file, as to a lock.
    write_keyring(key_files[1], ring)
    with speaker(broker, []) as link:
        link.publish(f"{TOPICS.base}/hello", b"hi", qos=1, retain=True)
        process = start("watch", "-c", str(config_file), "--count", "5")
        assert process.stdout is not None
        assert "hi" in process.stdout.readline()
        link.publish(TOPICS.decision, sign(make_decision(3), old), qos=1)
        link.publish(TOPICS.decision, sign(make_decision(4), new), qos=1)
        before = [process.stdout.readline() for _ in range(2)]
        ring = ring.with_entry(entry("next", Role.DAEMON, new.public_key(), now))
        write_keyring(key_files[1], ring.changed(ring.keys[0].id, revoked_at=now))
        link.publish(TOPICS.decision, sign(make_decision(5), old), qos=1)
        link.publish(TOPICS.decision, sign(make_decision(6), new), qos=1)
        after, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert ["signature valid" in line for line in before] == [True, False]
    assert ["signature valid" in line for line in after.splitlines()] == [False, True]
    assert "is revoked" in after


def test_watch_json_is_one_object_a_line(
    start: Start, broker: MqttConfig, config_file: Path
) -> None:
    with speaker(broker, []) as link:
        state = (
            b'{"v":1,"kind":"door_state","issued_at":"2026-11-24T06:00:00.000Z",'
            b'"state":"locked","cause":""}'
        )
        link.publish(TOPICS.door_state, state, qos=1, retain=True)
        process = start("watch", "-c", str(config_file), "--json", "--count", "1")
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    (line,) = out.splitlines()
    shown = json.loads(line)
    assert shown["topic"] == TOPICS.door_state
    assert shown["retained"] is True
    assert shown["message"]["state"] == "locked"


def test_watch_ends_with_1_when_the_messages_did_not_come(
    start: Start, broker: MqttConfig, config_file: Path
) -> None:
    process = start("watch", "-c", str(config_file), "--count", "1", "--seconds", "0.2")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""


def test_watch_without_a_broker_is_exit_code_69(
    tmp_path: Path, key_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from oneglance.cli import watch
    from oneglance.errors import BrokerError

    monkeypatch.setattr(watch, "CONNECT_S", 0.5)
    with pytest.raises(BrokerError, match="cannot connect"):
        watch.watch(write_config(tmp_path, free_port()))


def test_watch_suppresses_only_repeats(
    start: Start, broker: MqttConfig, config_file: Path, wait_until: Wait
) -> None:
    def visit(phase: str, progress: float) -> bytes:
        return json.dumps(
            {
                "v": 1,
                "kind": "visit",
                "issued_at": "2026-11-24T06:00:00.000Z",
                "visit_id": "v",
                "phase": phase,
                "progress": progress,
            }
        ).encode()

    with speaker(broker, []) as link:
        link.publish(f"{TOPICS.base}/hello", b"hi", qos=1, retain=True)
        process = start("watch", "-c", str(config_file), "--count", "5")
        assert process.stdout is not None
        assert "unknown: hi" in process.stdout.readline()
        for phase, progress in [("look", 0), ("checking", 0.2), ("checking", 0.4)]:
            link.publish(TOPICS.visit, visit(phase, progress), qos=1)
        link.publish(f"{TOPICS.base}/hello", b"between", qos=1)
        for phase, progress in [("checking", 0.6), ("done", 1.0)]:
            link.publish(TOPICS.visit, visit(phase, progress), qos=1)
        out, errors = process.communicate(timeout=120)
        link.publish(f"{TOPICS.base}/hello", b"", qos=1, retain=True)
    assert process.returncode == 0, errors
    assert [line.split()[2] for line in out.splitlines()] == [
        "look",
        "checking",
        "unknown:",
        "done",
    ]
