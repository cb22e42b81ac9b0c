"""What the screen at the door costs: start, an idle door, memory over many messages.

`python benchmarks/kiosk.py` runs the real kiosk, full screen in software under Xvfb, with a real
broker. `--seconds` of an idle door are measured, then `--messages` are sent. Prints one JSON
object. CPU is what the kernel counted for the process, so that a busy machine spoils it little; a
start takes wall time, so its CPU time is told too.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from oneglance.broker import embedded_broker
from oneglance.contract.messages import Hint, Phase, ServiceState, Status, VisitState
from oneglance.contract.signing import create_signing_key
from oneglance.contract.topics import Topics
from oneglance.kiosk_ui.display import virtual_display
from oneglance.link import Link

TOPICS = Topics("home", "front")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_LIMIT_S = 120.0
# The blinks come every 9 s: a measurement holds whole numbers of them.
_SECONDS = 36.0


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


def measure(size: tuple[int, int], seconds: float, messages: int) -> dict[str, float | str]:
    """One run of the kiosk on a display of `size` pixels."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        embedded_broker() as mqtt,
        virtual_display(size) as environment,
    ):
        folder = Path(scratch)
        create_signing_key(folder / "signing.key", folder / "signing.pub")
        config = folder / "kiosk.toml"
        config.write_text(
            f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n'
            '[kiosk]\npublic_key_file = "signing.pub"\n'
        )
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(folder / "notify"))
        manager.settimeout(_START_LIMIT_S)
        daemon = Link(mqtt, "daemon")
        daemon.start()
        while not daemon.connected:
            time.sleep(0.05)
        online = Status(issued_at=datetime.now(UTC), state=ServiceState.ONLINE, software="x")
        daemon.publish(TOPICS.status, online.to_payload(), qos=1, retain=True)
        begun_s = time.monotonic()
        kiosk = subprocess.Popen(
            [sys.executable, "-m", "oneglance.cli.start", "kiosk", "--config", str(config)],
            env={**environment, "NOTIFY_SOCKET": str(folder / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            told = b""
            while b"READY=1" not in told:
                told += manager.recv(4096)
            ready_s, ready_cpu_s = time.monotonic() - begun_s, cpu_s(kiosk.pid)
            while b"shows idle" not in told:
                told += manager.recv(4096)
            time.sleep(3)
            before_s, at_s = cpu_s(kiosk.pid), time.monotonic()
            time.sleep(seconds)
            idle = (cpu_s(kiosk.pid) - before_s) / (time.monotonic() - at_s)
            memory_before = memory_mb(kiosk.pid)
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
                "start_to_first_frame_s": round(ready_s, 2),
                "start_cpu_s": round(ready_cpu_s, 2),
                "idle_percent_of_a_core": round(100 * idle, 2),
                "memory_mb": round(memory_before, 1),
                f"memory_mb_after_{messages}_messages": round(memory_mb(kiosk.pid), 1),
            }
        finally:
            kiosk.terminate()
            kiosk.wait()
            daemon.stop()
            manager.close()


def main() -> None:
    """Measure on each size, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--sizes", default="1280x800", help="e.g. 800x480,1280x800,720x1280")
    given = parser.parse_args()
    for size in given.sizes.split(","):
        width, _, height = size.partition("x")
        measured = measure((int(width), int(height)), given.seconds, given.messages)
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
