"""A whole door for hours: people come one after the other, and one fault follows another.

python benchmarks/soak.py --hours 2 [--seed 14] [--fps 20] [--out build/soak] [--doc]

Real daemon, lock, camera over HTTP, and mosquitto with TLS, passwords and ACL as shipped; faults
drawn from the seed (soak_faults.py). Memory, descriptors and threads of daemon and lock are sampled
every 2 seconds. Everything is recorded as it happens; a run that is ended by SIGTERM or Ctrl-C is
judged as far as it got, and `--judge` judges the run in --out again.

Exit code 0: it recovered from each fault, nothing grew beyond its noise, and each opening of the
lock has a valid fresh decision of its own in the audit log. 1: otherwise.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak_faults import KINDS, Deck, Fault
from soak_house import KNOWN, Ear, House
from soak_judge import RECOVERY_S, complaints, read, slopes, wrong_openings
from soak_report import plot, write_page

SAMPLE_S = 2.0
TICK_S = 0.2
PAGE, PICTURE = Path("docs/soak.md"), Path("docs/images/soak.png")


class Soak:
    """One run. `pass_` lets time go by while everything is kept going."""

    def __init__(self, house: House, ear: Ear, seed: int, seconds: float) -> None:
        self.house, self.ear = house, ear
        kinds = frozenset(KINDS) - (frozenset() if house.can_fill else {"disk full"})
        self._deck = Deck(seed, kinds)
        self._began_s, self._seconds = time.monotonic(), seconds
        self._next_sample_s = 0.0
        self._decisions_kept = 0
        self._guest: subprocess.Popen[bytes] | None = None

    @property
    def part_done(self) -> float:
        """How much of the run is over: 0 to 1, and more when it is late."""
        return (time.monotonic() - self._began_s) / self._seconds

    def pass_(self, enough: Callable[[], bool], seconds: float) -> bool:
        """Let time go by until `enough` is true or `seconds` are over; whether it became true."""
        end_s = time.monotonic() + seconds
        while not enough():
            if time.monotonic() >= end_s:
                return False
            for service in self.house.services:
                service.look()
            self._sample()
            time.sleep(TICK_S)
        return True

    def wait_open(self, since: float) -> float | None:
        """Seconds from that moment of the wall clock until the lock opens; None if too late."""

        def opened() -> bool:
            return any(at > since for at, _ in self.house.openings())

        if not self.pass_(opened, RECOVERY_S):
            return None
        return min(at for at, _ in self.house.openings() if at > since) - since

    def one_fault(self) -> dict[str, Any]:
        """The next fault, and its result."""
        fault = self._deck.draw(self.part_done)
        self.pass_(lambda: False, fault.quiet_s)
        began_s = time.monotonic()
        over = self._begin(fault)
        if not self.pass_(over, RECOVERY_S if fault.lasts_s == 0 else fault.lasts_s):
            self._end(fault)
        ended, ended_s = time.time(), time.monotonic()
        outage_s = self.wait_open(ended)
        told = {
            "kind": fault.kind,
            "lasts_s": round(ended_s - began_s, 1),
            "began_s": began_s,
            "back_s": time.monotonic(),
            "outage_s": None if outage_s is None else round(outage_s, 1),
        }
        self._keep("faults", told)
        return told

    def _begin(self, fault: Fault) -> Callable[[], bool]:
        """Begin the fault; the answer says when it is over by itself, if not after `lasts_s`."""
        house, name = self.house, fault.kind.split()[0]
        service = {"daemon": house.daemon, "lock": house.lock}.get(name, house.daemon)
        pid = service.pid
        match fault.kind:
            case "broker killed, started at once":
                house.broker.kill()
                house.broker.start()
            case "broker away":
                house.broker.kill()
                return lambda: False
            case "camera refuses" | "camera silent":
                house.camera(fault.kind.split()[1].removesuffix("s"))
                return lambda: False
            case "daemon stopped for a moment" | "lock stopped for a moment":
                service.send(signal.SIGSTOP)
                return lambda: False
            case "disk full":
                house.fill_disk()
                return lambda: False
            case "somebody enrolled and deleted":
                guest = house.come_and_go()
                return lambda: guest.poll() is not None
            case "configuration read again":
                house.daemon.send(signal.SIGHUP)
            case "daemon killed" | "lock killed":
                service.send(signal.SIGKILL)
                return lambda: service.pid not in (0, pid)
            case "daemon hangs" | "lock hangs":
                service.send(signal.SIGSTOP)
                return lambda: service.pid not in (0, pid)
            case _:
                self.ear.attack()
        return lambda: True

    def _end(self, fault: Fault) -> None:
        house = self.house
        match fault.kind:
            case "broker away":
                house.broker.start()
            case "camera refuses" | "camera silent":
                house.camera("visits")
            case "daemon stopped for a moment":
                house.daemon.send(signal.SIGCONT)
            case "lock stopped for a moment":
                house.lock.send(signal.SIGCONT)
            case "disk full":
                house.make_room()

    def _sample(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_sample_s:
            return
        self._next_sample_s = now_s + SAMPLE_S
        for service in self.house.services:
            sample = service.sample()
            if sample is not None:
                self._keep("samples", {"at_s": now_s} | sample)
        for one in self.ear.heard[self._decisions_kept :]:
            self._decisions_kept += 1
            told = {"heard_s": one.at_s, "event": one.decision.event_id}
            self._keep("decisions", told | {"outcome": one.decision.outcome.value})

    def _keep(self, name: str, told: dict[str, Any]) -> None:
        with (self.house.folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(told) + "\n")


def soak(folder: Path, hours: float, seed: int, fps: float) -> None:
    """Run it into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = datetime.now(UTC)
    house = House(folder.resolve(), fps)
    try:
        ear = Ear(house)
        run = Soak(house, ear, seed, hours * 3600)
        say = "running"
        try:
            if run.wait_open(time.time()) is None:
                raise SystemExit(f"nobody is let in: see {house.daemon.log} and {house.lock.log}")
            while run.part_done < 1:
                told = run.one_fault()
                print(f"{run.part_done:6.1%}  {told['kind']}: {told['outage_s']} s", flush=True)
            say = "to its end"
        except KeyboardInterrupt:
            say = "ended early"
        finally:
            # The rest takes a while, and a second signal would lose all of it.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ear.close()
            house.close()
        audited = house.audited()
        openings = house.openings()
        heard = [one.decision.event_id for one in ear.heard]
        summary = {
            "began": began.isoformat(timespec="seconds"),
            "ended": say,
            "asked_hours": hours,
            "seed": seed,
            "fps": fps,
            "known": KNOWN,
            "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} of its cores",
            "load": os.getloadavg()[2],
            "openings": len(openings),
            "wrong": wrong_openings(openings, audited),
            "decisions": len(audited),
            "unlogged": sorted(set(heard) - set(audited)),
            "audit_verified": house.verified(),
            "tracebacks": house.tracebacks(),
            "starts": {service.name: service.starts for service in house.services},
            "disk_filled": house.can_fill,
        }
        (folder / "run.json").write_text(json.dumps(summary, indent=1) + "\n")
    finally:
        house.clear()


def main() -> int:
    """Exit code 0: the door behaved as it should."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--fps", type=float, default=20.0, help="10 is the pace of a walk")
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--judge", action="store_true", help="what lies in --out; run nothing")
    parser.add_argument("--doc", action="store_true", help=f"write {PAGE} and {PICTURE} anew")
    asked = parser.parse_args()
    # Like Ctrl-C: what was seen so far is judged.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # An absent broker is what is being tried here.
    logging.getLogger("oneglance.link").setLevel(logging.ERROR)
    if not asked.judge:
        soak(asked.out, asked.hours, asked.seed, asked.fps)
    seen = read(asked.out)
    found = slopes(seen)
    wrong = complaints(seen, found)
    plot(seen, PICTURE if asked.doc else asked.out / "soak.png")
    text = write_page(seen, found, wrong, PAGE if asked.doc else None)
    print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
