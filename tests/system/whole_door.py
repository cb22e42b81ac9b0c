"""A whole door on a test machine: installed, visited, asked what happened."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from machine import ROOT, Machine, wait_for

ETC, STATE = "/etc/oneglance", "/var/lib/oneglance"
VENV = "/opt/oneglance/venv/bin"
# Visits come one after the other, so one is let in long before, on any but a very busy machine.
VISIT_S = 240.0
LIFETIME_S = 5.0
# The journal, the audit log and the wire have the same clock, read a moment apart.
SLACK_S = 0.5
SERVICES = ("oneglance.service", "oneglance-door.service")

_STAGE_UNIT = f"""\
[Service]
ExecStart={VENV}/python /share/stage.py /share/photos/obama2.jpg /share/photos/biden.jpg
Restart=always
[Install]
WantedBy=multi-user.target
"""
# Everything that is said on the wire, heard by the real command.
_EAR_UNIT = f"""\
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'exec {VENV}/oneglance watch --json -c {ETC}/admin.toml >>/share/wire.jsonl'
Restart=always
RestartSec=0.5
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The lock's pin was pulsed, at `at` seconds of the wall clock, for this event."""

    at: float
    event: str


class Door:
    """A door, its machine, and what was heard of it."""

    def __init__(self, base: Path, packages: Path, photos: Path) -> None:
        self.machine = Machine(base, packages)
        share = self.machine.share
        shutil.copytree(photos, share / "photos")
        shutil.copy(ROOT / "benchmarks/stage.py", share)
        self.set_camera("empty")
        self.install_s = 0.0
        # When daemon and lock had another clock than the journal.
        self.wrong_clock = (0.0, 0.0)

    # --- what a user does ---------------------------------------------------------------------

    def install(self) -> None:
        """Boot, install from the checkout, enrol one person, and put a camera before the door."""
        machine = self.machine
        machine.boot()
        began = time.monotonic()
        machine.run("./oneglance/systemd/install.sh", "--camera", "http://127.0.0.1:8090/door")
        self.install_s = time.monotonic() - began
        self.finish()

    def finish(self) -> None:
        """What follows any installation: a person, a camera, and somebody who listens."""
        machine = self.machine
        machine.run(
            *("oneglance", "people", "enrol", "Barack Obama", "/share/photos/obama.jpg"),
            "--consent",
        )
        # Photographs on a stage do not live; what liveness is worth is measured elsewhere.
        for file in ("oneglance.toml", "door.toml"):
            machine.sh(f"printf '\\n[liveness]\\npolicy = \"off\"\\n' >>{ETC}/{file}")
        self.begin_visits()

    def begin_visits(self) -> None:
        """A camera before the door, and somebody who listens."""
        machine = self.machine
        for name, text in (("stage", _STAGE_UNIT), ("ear", _EAR_UNIT)):
            (machine.root / f"etc/systemd/system/{name}.service").write_text(text)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "enable", "--now", "stage", "ear")
        machine.run("systemctl", "restart", *SERVICES)
        self.set_camera("visits")

    def set_camera(self, mode: str) -> None:
        """See stage.py: visits, empty, silent, refuse."""
        draft = self.machine.share / "camera.new"
        draft.write_text(mode)
        draft.rename(self.machine.share / "camera")

    # --- what happened ------------------------------------------------------------------------

    @staticmethod
    def now() -> float:
        """The wall clock that all machines here share."""
        return time.time()

    def wire(self, topic: str, since: float = 0.0) -> list[tuple[float, dict[str, object]]]:
        """What was said on a topic, and when, in its order; nothing that the broker had kept."""
        file = self.machine.share / "wire.jsonl"
        heard = []
        for line in file.read_bytes().splitlines() if file.exists() else ():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # Cut off with the power.
            at = datetime.fromisoformat(said["at"]).timestamp()
            if said["topic"].endswith("/" + topic) and not said["retained"] and at >= since:
                heard.append((at, said["message"] or {}))
        return heard

    def openings(self, since: float = 0.0) -> list[Opening]:
        """Each pulse of the lock's pin, from its own journal."""
        told = self.machine.sh(
            "journalctl --unit oneglance-door.service --output json --no-pager --quiet"
            " --output-fields MESSAGE --grep 'opened for event' || true"
        )
        lines = [json.loads(line) for line in told.splitlines()]
        found = [
            Opening(int(line["__REALTIME_TIMESTAMP"]) / 1e6, line["MESSAGE"].split()[-1])
            for line in lines
        ]
        return [opening for opening in found if opening.at >= since]

    def audit(self) -> list[dict[str, object]]:
        """All entries of the audit log."""
        told = self.machine.run(
            *("oneglance", "audit", "list", "--last", "100000", "--json"),
            *("-c", f"{ETC}/oneglance.toml"),
        )
        entries: list[dict[str, object]] = json.loads(told.stdout)["entries"]
        return entries

    def people(self) -> set[str]:
        """Who is enrolled, by id."""
        told = self.machine.run("oneglance", "people", "list", "--json")
        return {person["id"] for person in json.loads(told.stdout)["people"]}

    # --- what is asked of it ------------------------------------------------------------------

    def wait_online(self, since: float, seconds: float = VISIT_S) -> float:
        """Seconds from `since` until the daemon says that all is well."""
        return wait_for(lambda: self._online_after(since), seconds, "not online") - since

    def _online_after(self, since: float) -> float:
        for at, status in self.wire("status", since):
            if status.get("state") == "online":
                return at
        return 0.0

    def wait_open(self, since: float, seconds: float = VISIT_S) -> float:
        """Seconds from `since` until the lock opens again: a visitor was seen, known, let in."""

        def opened() -> float:
            states = self.wire("door/state", since)
            return next((at for at, state in states if state.get("state") == "unlocked"), 0.0)

        return wait_for(opened, seconds, "the lock does not open again") - since

    def count_openings(self) -> tuple[int, list[Opening]]:
        """How many openings there ever were, and those that should not have been.

        Each is for an accepted decision of the audit log, for no other opening's, and comes after
        it within its life.
        """
        # Before the log is read, in which each stands by then.
        openings = self.openings()
        decided = {}
        for entry in self.audit():
            body = entry["body"]
            if entry["kind"] == "decision" and isinstance(body, dict):
                decided[body["event_id"]] = (datetime.fromisoformat(str(entry["at"])), body)
        seen: set[str] = set()
        wrong = []
        for opening in openings:
            at, body = decided.get(opening.event, (None, {}))
            valid = body.get("outcome") == "accepted" and opening.event not in seen
            if at is not None and not self.wrong_clock[0] <= opening.at <= self.wrong_clock[1]:
                valid = valid and -SLACK_S <= opening.at - at.timestamp() <= LIFETIME_S + SLACK_S
            seen.add(opening.event)
            if not valid:
                wrong.append(opening)
        return len(openings), wrong
