"""What the screen at the door costs: start, an idle door, the live picture, many messages.

`python benchmarks/kiosk.py` runs the real kiosk, full screen in software under Xvfb, with a real
broker. It is started `--starts` times; then `--seconds` of an idle door are measured, then
`--preview` seconds of a visitor who sees themselves in ten pictures a second of the largest size
allowed; then `--messages` are sent. Prints one JSON object for each size. CPU time is what the
kernel counted for the process, so a busy machine hardly spoils it. A start takes wall time: the
kernel says for how long of it the kiosk could have run but other processes had the cores, and that
is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.broker import embedded_broker
from oneglance.contract.messages import FaceBox, Hint, Phase, ServiceState, Status, VisitState
from oneglance.contract.preview import MAX_JPEG_BYTES, VERB, Picture, PreviewSender, half_of
from oneglance.contract.signing import create_signing_key, load_signing_key
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.preview_jpeg import PreviewEncoder
from oneglance.kiosk_ui.display import virtual_display
from oneglance.link import Arrival, Link

TOPICS = Topics("home", "front")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_LIMIT_S = 120.0
# The eyes blink every 9 s: a measurement holds a whole number of blinks.
_SECONDS = 36.0

Told = dict[str, float | str | list[float]]


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mb(pid: int) -> float:
    """Its resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


@dataclass(frozen=True)
class Moment:
    """How far a start has come: seconds since it began, of a core, and of waiting for a core."""

    wall_s: float
    cpu_s: float
    waited_s: float

    @property
    def own_s(self) -> float:
        """What the start would have taken with a core of its own."""
        return self.wall_s - self.waited_s


def moment(pid: int, begun_s: float) -> Moment:
    """How far the process has come; it does all work of its start in its first thread."""
    wall_s = time.monotonic() - begun_s
    running_ns, waited_ns, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    return Moment(wall_s, int(running_ns) / 1e9, int(waited_ns) / 1e9)


class Manager:
    """The service manager's end of sd_notify: what one kiosk says about itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Manager:
        self._told = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.settimeout(_START_LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._path.unlink()

    def wait_for(self, line: str) -> None:
        """Wait until it has said this. Raises TimeoutError."""
        while line not in self._told.splitlines():
            self._told += self._socket.recv(4096).decode() + "\n"


@contextmanager
def kiosk(config: Path, environment: dict[str, str]) -> Iterator[tuple[int, Moment, Moment]]:
    """The real kiosk, idle: its process, its first picture, and when it began to listen."""
    notify = config.with_name("notify")
    begun_s = time.monotonic()
    with Manager(notify) as manager:
        process = subprocess.Popen(
            [sys.executable, "-m", "oneglance.cli.start", "kiosk", "--config", str(config)],
            env={**environment, "NOTIFY_SOCKET": str(notify)},
            stderr=subprocess.DEVNULL,
        )
        try:
            manager.wait_for("STATUS=shows starting")
            pictured = moment(process.pid, begun_s)
            manager.wait_for("READY=1")
            ready = moment(process.pid, begun_s)
            manager.wait_for("STATUS=shows idle")
            yield process.pid, pictured, ready
        finally:
            process.terminate()
            process.wait()


def starts(config: Path, environment: dict[str, str], count: int) -> Told:
    """Several starts: their median, the quickest and the slowest."""
    pictured, ready = [], []
    for _ in range(count):
        with kiosk(config, environment) as (_, first, second):
            pictured.append(first)
            ready.append(second)

    def of(values: list[float]) -> list[float]:
        return [round(v, 2) for v in (statistics.median(values), min(values), max(values))]

    return {
        "starts": count,
        "first_picture_cpu_s": of([m.cpu_s for m in pictured]),
        "first_picture_s_without_waiting_for_a_core": of([m.own_s for m in pictured]),
        "first_picture_wall_s": of([m.wall_s for m in pictured]),
        "listens_cpu_s": of([m.cpu_s for m in ready]),
        "listens_s_without_waiting_for_a_core": of([m.own_s for m in ready]),
    }


def longest_jpeg() -> bytes:
    """A picture as large as the daemon sends it, and of about as many bytes as are allowed."""
    noise = np.random.default_rng(1).normal(128, 40, (360, 480, 3))
    blurred = cv2.blur(np.clip(noise, 0, 255).astype(np.uint8), (3, 3))
    jpeg = PreviewEncoder(MAX_JPEG_BYTES).encode(np.asarray(blurred, np.uint8))
    if jpeg is None:
        raise SystemExit("the noise does not fit into a frame")
    return jpeg


def looked_at(i: int) -> bytes:
    """A visit that goes on."""
    now = datetime.now(UTC)
    face = FaceBox(x=0.3 + 0.01 * (i % 5), y=0.3, width=0.3, height=0.4)
    return VisitState(
        issued_at=now, visit_id="v", phase=Phase.LOOK, hint=Hint.COME_CLOSER, face=face
    ).to_payload()


def preview(daemon: Link, asked: list[Arrival], key: Ed25519PrivateKey, seconds: float) -> int:
    """Send a visitor's live picture for that long, as the daemon; how many pictures were sent."""
    jpeg = longest_jpeg()
    sender: PreviewSender | None = None
    topic, sent, until_s = TOPICS.preview("kiosk"), 0, time.monotonic() + seconds
    while time.monotonic() < until_s:
        daemon.publish(TOPICS.visit, looked_at(sent), qos=0)
        if asked and sender is None:
            half = json.loads(asked[-1].payload)["args"]["key"]
            sender = PreviewSender(TOPICS, key, half_of(half))
        if sender is not None:
            face = FaceBox(x=0.3 + 0.01 * (sent % 5), y=0.3, width=0.3, height=0.4)
            captured_ms = round(1000 * time.monotonic())
            daemon.publish(topic, sender.seal(Picture(captured_ms, face, jpeg)), qos=0)
            sent += 1
        time.sleep(0.1)
    return sent


def measure(
    size: tuple[int, int], count: int, seconds: float, previewed_s: float, messages: int
) -> Told:
    """Starts of the kiosk on a display of `size` pixels, and one run of it."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        embedded_broker() as mqtt,
        virtual_display(size) as environment,
    ):
        folder = Path(scratch)
        create_signing_key(folder / "signing.key", folder / "signing.pub")
        create_signing_key(folder / "kiosk.key", folder / "kiosk.pub")
        config = folder / "kiosk.toml"
        config.write_text(
            f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n'
            '[kiosk]\npublic_key_file = "signing.pub"\nkey_file = "kiosk.key"\n'
        )
        asked: list[Arrival] = []
        commands = ((TOPICS.command(VERB), 1),)
        daemon = Link(mqtt, "daemon", subscriptions=commands, on_message=asked.append)
        daemon.start()
        while not daemon.connected:
            time.sleep(0.05)
        online = Status(issued_at=datetime.now(UTC), state=ServiceState.ONLINE, software="x")
        daemon.publish(TOPICS.status, online.to_payload(), qos=1, retain=True)
        try:
            begun = starts(config, environment, count)
            with kiosk(config, environment) as (pid, _, _):
                time.sleep(3)
                before_s, at_s = cpu_s(pid), time.monotonic()
                time.sleep(seconds)
                idle = (cpu_s(pid) - before_s) / (time.monotonic() - at_s)
                before_s, at_s = cpu_s(pid), time.monotonic()
                pictures = preview(
                    daemon, asked, load_signing_key(folder / "signing.key"), previewed_s
                )
                passed_s = time.monotonic() - at_s
                previewing = (cpu_s(pid) - before_s) / max(passed_s, 1e-6)
                memory_before = memory_mb(pid)
                hints = list(Hint)
                for i in range(messages):
                    visit = VisitState(
                        issued_at=datetime.now(UTC),
                        visit_id=f"v{i // 20}",
                        phase=Phase.CHECKING,
                        hint=hints[i % len(hints)],
                        progress=i % 20 / 20,
                    )
                    daemon.publish(TOPICS.visit, visit.to_payload(), qos=0)
                    time.sleep(0.01)
                return {
                    "display": f"{size[0]}x{size[1]}",
                    "load": round(os.getloadavg()[0], 1),
                    **begun,
                    "idle_percent_of_a_core": round(100 * idle, 2),
                    "pictures_a_second": round(pictures / max(passed_s, 1e-6), 1),
                    "preview_percent_of_a_core": round(100 * previewing, 1),
                    "memory_mb": round(memory_before, 1),
                    f"memory_mb_after_{messages}_messages": round(memory_mb(pid), 1),
                }
        finally:
            daemon.stop()


def main() -> None:
    """Measure on each size, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--preview", type=float, default=20.0)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--sizes", default="1280x800", help="e.g. 800x480,1280x800,720x1280")
    given = parser.parse_args()
    for size in given.sizes.split(","):
        width, _, height = size.partition("x")
        pixels = int(width), int(height)
        told = measure(pixels, given.starts, given.seconds, given.preview, given.messages)
        print(json.dumps(told))


if __name__ == "__main__":
    main()
