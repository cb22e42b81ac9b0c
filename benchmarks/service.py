"""The service itself, as systemd would start it: start-up, memory, processor time, decisions.

Run as a script with a configuration, it is that service, with a clock on the film's own time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from child import peak_mb
from films import Head

from oneglance.broker import embedded_broker
from oneglance.config import MqttConfig, load_config
from oneglance.contract.gate import Gate
from oneglance.contract.messages import Outcome
from oneglance.contract.signing import create_signing_key, load_public_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.link import Arrival, Link

START_S = 60.0
TOPICS = Topics("bench", "door")


@dataclass(frozen=True, slots=True)
class House:
    """A door's keys, gallery and broker in a folder."""

    folder: Path
    mqtt: MqttConfig

    def config(self, film: Path, liveness: str = "off") -> Path:
        """The configuration of a daemon that watches this film at its own pace.

        Liveness is off, as the films' heads are flat photographs.
        """
        file = self.folder / "oneglance.toml"
        file.write_text(
            f"""\
[site]
name = "bench"
door = "door"
[mqtt]
host = "{self.mqtt.host}"
port = {self.mqtt.port}
[signing]
key_file = "signing.key"
sequence_file = "sequence"
[gallery]
path = "gallery.db"
key_file = "gallery.key"
[liveness]
policy = "{liveness}"
[access.attempts]  # One stranger after the other comes: none is to wait for the ones before.
first_wait_s = 0.001
longest_wait_s = 0.001
longest_attack_wait_s = 0.001
[[camera]]
name = "door"
source = "{film}"
"""
        )
        return file


@contextmanager
def house(folder: Path, model: FaceModel, heads: Sequence[Head]) -> Iterator[House]:
    """Make keys, start a broker, and enrol these people."""
    folder.mkdir()
    create_signing_key(folder / "signing.key", folder / "signing.pub")
    create_key(folder / "gallery.key")
    with Gallery.open(
        folder / "gallery.db", load_key(folder / "gallery.key"), create=True
    ) as gallery:
        for head in heads:
            gallery.enrol(
                head.name,
                head.template[None],
                model.model_id,
                consent_at=datetime.now(UTC),
                source="benchmark",
            )
    with embedded_broker() as mqtt:
        yield House(folder, mqtt)


@dataclass(frozen=True, slots=True)
class Run:
    """One life of `oneglance run`: seconds to READY=1, then what it took while it watched.

    `ready_cpu_s` is the processor time until READY=1.
    """

    ready_s: float
    ready_cpu_s: float
    cpu_percent: float
    peak_mb: float


def run_service(config: Path, watch_s: float, core: int) -> Run:
    """Start `oneglance run`, let it watch for `watch_s` after READY=1, and stop it."""
    address = config.with_name(f"notify-{time.monotonic_ns()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(START_S)
        start_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "oneglance.cli.start", "run", "--config", str(config)],
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        try:
            while manager.recv(4096) != b"READY=1":
                pass
            ready_s = time.monotonic() - start_s
            before_s, begun_s = _cpu_s(process.pid), time.monotonic()
            time.sleep(watch_s)
            cpu_s = _cpu_s(process.pid) - before_s
            percent = 100 * cpu_s / (time.monotonic() - begun_s)
            return Run(ready_s, before_s, percent, peak_mb(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _cpu_s(pid: int) -> float:
    """Processor time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Heard:
    """A decision as heard on the wire, in seconds of the film."""

    at_s: float
    accepted: bool


def decisions_heard(config: Path, mqtt: MqttConfig, core: int) -> tuple[list[Heard], int]:
    """Play the film to the daemon at its own pace; the decisions heard, and the frames dropped."""
    heard: list[tuple[float, bool]] = []
    key = load_public_key(config.with_name("signing.pub"))
    gate = Gate(TOPICS, key, lambda: datetime.now(UTC), time.monotonic)

    def hear(arrival: Arrival) -> None:
        # As a lock does: only what is signed, fresh and in order is a decision.
        decision = gate.admit(arrival.payload, retained=arrival.retained)
        at_s = time.monotonic()
        heard.append((at_s, decision.outcome is Outcome.ACCEPTED))

    link = Link(mqtt, "bench-listener", subscriptions=((TOPICS.decision, 1),), on_message=hear)
    link.start()
    try:
        if not link.wait_connected(START_S):
            raise RuntimeError("the broker does not answer")
        result = subprocess.run(
            [sys.executable, __file__, str(config), str(core)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        link.stop()
    told = json.loads(result.stdout)
    return [Heard(at_s - told["base_s"], yes) for at_s, yes in heard], told["dropped"]


def _watch_film(config: Path, core: int) -> None:
    """Run the daemon; print when, on the monotonic clock, the film began."""
    os.sched_setaffinity(0, {core})
    began: list[float] = []

    def on_step(report: StepReport) -> None:
        began.append(report.frame.captured_at_s - report.frame.at_s)

    totals = Daemon(load_config(config), on_step=on_step).run()
    # A frame is never early, only late: the smallest difference gives the film's beginning.
    json.dump({"base_s": min(began), "dropped": totals.dropped}, sys.stdout)


if __name__ == "__main__":
    _watch_film(Path(sys.argv[1]), int(sys.argv[2]))
