"""`oneglance doctor --running`, against a real broker and the daemon's own HTTP server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_broker import scripted
from typer.testing import CliRunner
from wire_samples import TOPICS

from oneglance.broker import free_port
from oneglance.cli import doctor_running
from oneglance.cli.main import app
from oneglance.config import MqttConfig
from oneglance.contract.messages import DoorState, LockState, ServiceState, Status
from oneglance.daemon.metrics import HANGS_AFTER_S, served
from oneglance.daemon.standing import Notice, Standing
from oneglance.link import Link

Said = Callable[..., dict[str, tuple[str, str]]]
GOOD = Standing(reasons=("camera_fast:a",), cameras=("a",), connected=True)


@pytest.fixture
def door(broker: MqttConfig, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A daemon's and a lock's word, which the test changes."""
    notice, port, link = Notice(), free_port(), Link(broker, "door")
    notice.standing = GOOD
    link.start()
    assert link.wait_connected(20)
    file = tmp_path / "oneglance.toml"
    file.write_text(f"[mqtt]\nport = {broker.port}\n[metrics]\nport = {port}\n")
    parts: Any = SimpleNamespace(vision=SimpleNamespace(turned_at_s=0.0), notice=notice)
    now = SimpleNamespace(s=1.0)
    with served(parts, port, lambda: now.s):
        yield SimpleNamespace(notice=notice, now=now, file=file, link=link, port=port)
    link.stop()


def keep(door: SimpleNamespace, state: ServiceState, lock: LockState, age_s: float = 0) -> None:
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    status = Status(issued_at=at, state=state, software="0", reasons=())
    said = DoorState(issued_at=at, state=lock, cause="")
    for topic, message in ((TOPICS.status, status), (TOPICS.door_state, said)):
        door.link.publish(topic, message.to_payload(), qos=1, retain=True)


def told(door: SimpleNamespace) -> tuple[int, dict[str, str], str]:
    """The exit code, each finding's verdict, and all of the text."""
    ended = CliRunner().invoke(app, ["doctor", "--running", "--json", "-c", str(door.file)])
    findings = json.loads(ended.stdout)["findings"]
    return ended.exit_code, {f["what"]: f["verdict"] for f in findings}, ended.stdout


def test_a_door_that_works_is_good_and_a_silent_or_shut_one_is_not(door: SimpleNamespace) -> None:
    loop, lets_in = "its loop comes round", "lets people in"
    code, verdicts, _ = told(door)
    assert verdicts == {loop: "good", lets_in: "good", "status": "missing", "lock": "missing"}
    assert code == 0

    keep(door, ServiceState.ONLINE, LockState.LOCKED)
    assert set(told(door)[1].values()) == {"good"}

    keep(door, ServiceState.ONLINE, LockState.FAULT, age_s=100)
    door.notice.standing = replace(GOOD, problems=("x",), reasons=("gallery_error",))
    code, verdicts, text = told(door)
    assert verdicts == {loop: "good", lets_in: "broken", "status": "broken", "lock": "broken"}
    assert code == 1
    assert "gallery_error" in text
    # Seconds may pass on a busy machine before it is asked.
    assert re.search(r"silent for 1\d\d s", text)

    keep(door, ServiceState.OFFLINE, LockState.LOCKED)
    door.now.s += HANGS_AFTER_S
    assert told(door)[1] == {loop: "broken", lets_in: "broken", "status": "broken", "lock": "good"}


def test_without_a_daemon_a_port_or_a_broker_it_says_so(
    door: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_running, "TIMEOUT_S", 0.2)
    door.file.write_text(f"[mqtt]\nport = 1\n[metrics]\nport = {free_port()}\n")
    code, verdicts, text = told(door)
    assert (code, set(verdicts.values())) == (1, {"broken"})
    assert "is the daemon running" in text
    door.file.write_text("[mqtt]\nport = 1\n")
    assert told(door)[1] == {"daemon": "missing", "broker": "broken"}


def test_what_the_broker_does_not_let_us_hear_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_running, "TIMEOUT_S", 2.0)
    file = tmp_path / "oneglance.toml"
    with scripted(granted=(0x87, 0x01)) as mqtt:
        file.write_text(f"[mqtt]\nport = {mqtt.port}\n")
        code, verdicts, text = told(SimpleNamespace(file=file))
    assert (code, verdicts["status"], verdicts["lock"]) == (1, "broken", "missing")
    assert "does not let us hear it: this user may not" in text
