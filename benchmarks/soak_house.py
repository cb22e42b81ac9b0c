"""A whole door for a soak: broker, daemon, lock and camera as processes, watched as by systemd."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet import Broker

from oneglance.broker import free_port
from oneglance.cli.photos import photo_folder
from oneglance.contract.messages import Decision
from oneglance.contract.signing import check, load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError
from oneglance.link import Arrival, Link

TOPICS = Topics("home", "front")
KNOWN = "obama2"
CAMERA_PHOTOS = ("obama2.jpg", "biden.jpg")
START_S = 120.0
STATE_MB = 48
PROGRAM = (sys.executable, "-m", "oneglance.cli.start")
_OPENED = re.compile(r"^(\S+ \S+),(\d{3}) .*opened for event (\w+)$", re.MULTILINE)


class Service:
    """A process that is restarted a second after its end, and killed if its watchdog hears nothing.

    As the units do; `pid` is 0 while it is not running.
    """

    def __init__(self, name: str, folder: Path, watchdog_s: float, *command: str) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self.ready, self.starts = False, 0
        self._command, self._watchdog_s = command, watchdog_s
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / f"{name}.notify"))
        self._manager.setblocking(False)
        self._process: subprocess.Popen[bytes] | None = None
        self._fed_s = self._again_s = 0.0

    @property
    def pid(self) -> int:
        """The process' number."""
        return 0 if self._process is None else self._process.pid

    def look(self) -> None:
        """Do what systemd would do now."""
        now_s = time.monotonic()
        while True:
            try:
                told = self._manager.recv(4096)
            except BlockingIOError:
                break
            self.ready = self.ready or b"READY=1" in told
            self._fed_s = now_s
        if self._process is None:
            if now_s >= self._again_s:
                self._start(now_s)
        elif self._process.poll() is not None:
            self._process, self.ready = None, False
            self._again_s = now_s + 1.0
        elif now_s - self._fed_s > (self._watchdog_s if self.ready else START_S):
            self._process.kill()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is running."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """End it politely."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._manager.close()

    def sample(self) -> dict[str, Any] | None:
        """What it uses at this moment; nothing while it starts or is gone."""
        if not self.ready:
            return None
        home = Path(f"/proc/{self.pid}")
        try:
            status = (home / "status").read_text()
            fields = (home / "stat").read_text().rpartition(")")[2].split()
            fds = len(list((home / "fd").iterdir()))
        except OSError:
            return None
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if "RssAnon" not in found:
            return None
        return {
            "service": self.name,
            "pid": self.pid,
            # Pages of files do not count, as the kernel drops them when it needs room: the curve of
            # a run once fell by 18 MB when it did, and hid what had grown before.
            "own_mb": sum(int(found[name].split()[0]) for name in ("RssAnon", "VmSwap")) / 1024,
            "threads": int(found["Threads"]),
            "fds": fds,
            "cpu_s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        }

    def _start(self, now_s: float) -> None:
        self.starts += 1
        environment = os.environ | {
            "NOTIFY_SOCKET": self._manager.getsockname(),
            "WATCHDOG_USEC": str(int(self._watchdog_s * 1e6)),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._fed_s = now_s


class House:
    """The door in `folder`, which must be new; `fps` pictures a second, 10 are a walk.

    Its state lies on a small file system of its own if we may mount one (`can_fill`).
    """

    def __init__(self, folder: Path, fps: float) -> None:
        self.folder, self.state = folder, folder / "state"
        self.visits, self._mode = folder / "visits.jsonl", folder / "camera"
        self.port = free_port()
        etc = folder / "etc"
        subprocess.run([*PROGRAM, "init", "--dir", str(etc)], check=True, capture_output=True)
        self.state.mkdir(mode=0o700)
        self.can_fill = os.geteuid() == 0 and _mounted(self.state)
        broker = folder / "broker"
        broker.mkdir()
        self.broker = Broker(broker)
        self.broker.start()
        self.config, self._etc = etc / "oneglance.toml", etc
        self.config.write_text(self._daemon_file())
        (etc / "door.toml").write_text(self._lock_file())
        self.key = load_signing_key(etc / "signing.key")
        self.people("enrol", "Barack Obama", str(photo_folder() / "obama.jpg"), "--consent")
        self.camera("visits")
        photos = [str(photo_folder() / name) for name in CAMERA_PHOTOS]
        self._stage = subprocess.Popen(
            [
                *(sys.executable, str(Path(__file__).with_name("stage.py")), *photos),
                *("--mode", str(self._mode), "--port", str(self.port), "--fps", str(fps)),
                *("--visits", str(self.visits)),
            ]
        )
        self.daemon = Service("daemon", folder, 20, *PROGRAM, "-v", "run", "-c", str(self.config))
        self.lock = Service(
            "lock", folder, 10, *PROGRAM, "-v", "door", "-c", str(etc / "door.toml")
        )
        self.services = (self.daemon, self.lock)

    def camera(self, mode: str) -> None:
        """See stage.py."""
        draft = self._mode.with_suffix(".new")
        draft.write_text(mode)
        draft.rename(self._mode)

    def people(self, *words: str) -> None:
        """Run `oneglance people ...` to its end."""
        command = [*PROGRAM, "people", *words, "-c", str(self.config)]
        subprocess.run(command, check=True, capture_output=True)

    def come_and_go(self) -> subprocess.Popen[bytes]:
        """A guest is enrolled and deleted, while everything else goes on."""
        guest = photo_folder() / "astronaut.png"
        words = " ".join((*PROGRAM, "people"))
        where = f"-c {self.config}"
        enrol = f"{words} enrol Guest {guest} --consent {where}"
        return subprocess.Popen(
            ["sh", "-ec", f"{enrol}; {words} delete guest --yes {where}"],
            stdout=subprocess.DEVNULL,
        )

    def fill_disk(self) -> None:
        """Leave no free byte on the state's file system."""
        with (self.state / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

    def make_room(self) -> None:
        """Restore the disk as it was."""
        (self.state / "filler").unlink()

    def openings(self) -> list[tuple[float, str]]:
        """Each pulse of the lock by its own log: the wall clock in s, and the event."""
        found = _OPENED.findall(self.lock.log.read_text()) if self.lock.log.exists() else []
        return [
            (datetime.strptime(at, "%Y-%m-%d %H:%M:%S").timestamp() + int(ms) / 1e3, event)
            for at, ms, event in found
        ]

    def audited(self) -> dict[str, tuple[float, str]]:
        """Each decision of the audit log by its event: the wall clock in s, and the outcome."""
        command = [*PROGRAM, "audit", "list", "--last", "10000000", "--json"]
        told = subprocess.run(
            [*command, "-c", str(self.config)], check=True, capture_output=True, text=True
        )
        return {
            entry["body"]["event_id"]: (
                datetime.fromisoformat(entry["at"]).timestamp(),
                entry["body"]["outcome"],
            )
            for entry in json.loads(told.stdout)["entries"]
            if entry["kind"] == "decision"
        }

    def verified(self) -> bool:
        """Whether the audit log holds."""
        command = [*PROGRAM, "audit", "verify", "-c", str(self.config)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def tracebacks(self) -> list[str]:
        """Unforeseen errors in the logs."""
        logs = [service.log.read_text() for service in self.services if service.log.exists()]
        return [text for log in logs for text in re.findall(r"^Traceback.*$", log, re.MULTILINE)]

    def close(self) -> None:
        """End all of it."""
        for service in self.services:
            service.stop()
        self._stage.terminate()
        self._stage.wait()
        self.broker.kill()

    def clear(self) -> None:
        """Unmount the state's file system."""
        if self.can_fill:
            subprocess.run(["umount", "--lazy", str(self.state)], check=True)

    def _mqtt(self, user: str) -> str:
        mqtt = self.broker.mqtt(user)
        return (
            f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\ntls = true\n'
            f'ca_file = "{mqtt.ca_file}"\nuser = "{user}"\npassword_file = "{mqtt.password_file}"\n'
        )

    def _daemon_file(self) -> str:
        # Photographs on a stage are not alive; strangers come one after the other, must not wait
        # because of earlier ones, and leave before the usual patience ends.
        return f"""\
{self._mqtt("oneglance-daemon")}
[signing]
key_file = "signing.key"
sequence_file = "{self.state}/sequence"
[gallery]
path = "{self.state}/gallery.db"
key_file = "gallery.key"
[decision]
patience_s = 0.5
[liveness]
policy = "off"
[access.attempts]
first_wait_s = 0.001
longest_wait_s = 0.001
longest_attack_wait_s = 0.001
[[camera]]
name = "front"
source = "http://127.0.0.1:{self.port}/door"
"""

    def _lock_file(self) -> str:
        return f"""\
{self._mqtt("oneglance-lock")}
[door]
public_key_file = "keyring.json"
state_file = "{self.folder}/lock-sequence"
pin_factory = "mock"
pulse_s = 0.5
require_liveness = false
"""


def _mounted(folder: Path) -> bool:
    options = f"size={STATE_MB}m,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "oneglance-soak", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, slots=True)
class Heard:
    """A decision as it came over the wire; `at_s` is of the monotonic clock."""

    at_s: float
    payload: bytes
    decision: Decision


class Ear:
    """Listens with the administrator's rights; sends with the daemon's password, as if stolen."""

    def __init__(self, house: House) -> None:
        self.heard: list[Heard] = []
        self._injected: set[str] = set()
        self._key = house.key
        self._links = (
            Link(
                house.broker.mqtt("oneglance-admin"),
                "soak-ear",
                subscriptions=((TOPICS.decision, 1),),
                on_message=self._hear,
            ),
            Link(house.broker.mqtt("oneglance-daemon"), "soak-mouth"),
        )
        for link in self._links:
            link.start()

    def close(self) -> None:
        """Stop listening."""
        for link in self._links:
            link.stop()

    def attack(self) -> None:
        """Send old, forged and wrongly dated decisions, all about somebody who may come in."""
        accepted = [one for one in self.heard if one.decision.outcome == "accepted"]
        if not accepted:
            return
        newest, now = accepted[-1], datetime.now(UTC)
        payloads = [one.payload for one in accepted[-3:]]
        stranger = Ed25519PrivateKey.generate()
        hour = timedelta(hours=1)
        for number, (at, key) in enumerate(
            ((now, stranger), (now - hour, self._key), (now + hour, self._key))
        ):
            event = f"{newest.decision.event_id[:-2]}x{number}"
            self._injected.add(event)
            changed = newest.decision.model_copy(
                update={
                    "event_id": event,
                    "issued_at": at,
                    "expires_at": at + timedelta(seconds=5),
                    "sequence": newest.decision.sequence + 1,
                }
            )
            payloads.append(sign(changed, key))
        for payload in payloads:
            self._links[1].publish(TOPICS.decision, payload, qos=1)
            self._links[1].publish(TOPICS.decision, payload, qos=1, retain=True)
        self._links[1].publish(TOPICS.decision, b"", qos=1, retain=True)

    def _hear(self, arrival: Arrival) -> None:
        if arrival.retained or not arrival.payload:
            return
        try:
            decision = check(arrival.payload, self._key.public_key(), TOPICS.decision)
        except MessageError:
            return
        known = {one.decision.event_id for one in self.heard}
        if decision.event_id not in self._injected | known:
            self.heard.append(Heard(time.monotonic(), arrival.payload, decision))
